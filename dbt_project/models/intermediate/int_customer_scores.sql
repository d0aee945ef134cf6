{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "customer_id"],
        indexes=[{"columns": ["tenant_id", "rfm_segment"]}],
        meta={"stale": "scores"},
    )
}}

with
    bounds as materialized(
        select tenant_id, scope.as_of_date, {{ bounds_side_by_side() }}
        from {{ transform_scope() }} scope
        left join {{ ref("int_score_bounds") }} using (tenant_id)
        group by tenant_id, scope.as_of_date
    ),

    scored as (
        select
            tenant_id,
            customers.customer_id,
            {{ score_by_bounds("recency", "customers", "bounds") }} as recency_score,
            {{ score_by_bounds("frequency", "customers", "bounds") }}
            as frequency_score,
            {{ score_by_bounds("monetary", "customers", "bounds") }} as monetary_score
        from {{ stale("scores") }} stale_scores
        join {{ ref("int_customers") }} customers using (tenant_id, customer_id)
        join bounds using (tenant_id)
        where customers.orders_count > 0
    )

select
    tenant_id,
    customer_id,
    recency_score,
    frequency_score,
    monetary_score,
    cells.rfm_segment
from scored
join {{ ref("rfm_cells") }} cells using (recency_score, frequency_score, monetary_score)
