{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "customer_id", "valid_from"],
        incremental_strategy="history",
        meta={"stale": "scores", "marks": {"memberships": ["customer_id"]}},
    )
}}

with
    scores as (
        select scores.*
        from {{ ref("int_customer_scores") }} scores
        join {{ stale("scores") }} stale_scores using (tenant_id, customer_id)
    ),

    recorded as (
        {% if flags.WHICH == "compile" or is_incremental() %}
            select history.*
            from {{ this }} history
            join {{ stale("scores") }} stale_scores using (tenant_id, customer_id)
            where history.valid_to is null
        {% else %}select *, null::date as valid_to from scores where false
        {% endif %}
    )

-- Customers who are no longer as recorded; without scores where they have none now.
select
    tenant_id,
    customer_id,
    scope.as_of_date as valid_from,
    null::date as valid_to,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    scores.rfm_segment
from scores
full join recorded using (tenant_id, customer_id)
join {{ transform_scope() }} scope using (tenant_id)
where
    scope.writes_history
    and (
        scores.recency_score,
        scores.frequency_score,
        scores.monetary_score,
        scores.rfm_segment
    ) is distinct from (
        recorded.recency_score,
        recorded.frequency_score,
        recorded.monetary_score,
        recorded.rfm_segment
    )
