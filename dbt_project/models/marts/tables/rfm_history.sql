{{
    config(
        unique_key=["tenant_id", "customer_id", "valid_from"],
        incremental_strategy="history",
        meta={"stale": "tenants"},
    )
}}

select
    tenant_id,
    customer_id,
    scope.as_of_date as valid_from,
    null::date as valid_to,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    scores.rfm_segment
from {{ ref("customer_scores") }} scores
join {{ stale("tenants") }} stale_tenants using (tenant_id)
join {{ transform_scope() }} scope using (tenant_id)
where scope.writes_history
