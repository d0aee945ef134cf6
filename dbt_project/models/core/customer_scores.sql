{{
    config(
        unique_key=["tenant_id", "customer_id"],
        indexes=[{"columns": ["tenant_id", "rfm_segment"]}],
        meta={"stale": "tenants"},
    )
}}

with
    customers as (
        select
            tenant_id,
            customer_id,
            greatest(scope.as_of_date - customers.last_order_on, 0) as recency_days,
            customers.orders_count as frequency,
            customers.net_sales as monetary
        from {{ ref("customers") }} customers
        join {{ stale("tenants") }} stale_tenants using (tenant_id)
        join {{ transform_scope() }} scope using (tenant_id)
        where customers.orders_count > 0
    ),

    scored as (
        select
            tenant_id,
            customer_id,
            {{ rfm_score("recency_days desc") }} as recency_score,
            {{ rfm_score("frequency") }} as frequency_score,
            {{ rfm_score("monetary") }} as monetary_score
        from customers
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
