{{
    config(
        unique_key=["tenant_id", "customer_id"],
        indexes=[
            {"columns": ["tenant_id", "rfm_segment"]},
        ],
    )
}}

with
    customers as (
        select
            customers.tenant_id,
            customers.customer_id,
            scope.as_of_date,
            greatest(scope.as_of_date - customers.last_order_on, 0) as recency_days,
            customers.orders_count as frequency,
            customers.net_sales as monetary
        from {{ ref("int_customers") }} customers
        join {{ transform_scope() }} scope on scope.tenant_id = customers.tenant_id
        where customers.orders_count > 0
    ),

    scored as (
        select
            *,
            {{ rfm_score("recency_days desc") }} as recency_score,
            {{ rfm_score("frequency") }} as frequency_score,
            {{ rfm_score("monetary") }} as monetary_score
        from customers
    )

select
    scored.tenant_id,
    scored.customer_id,
    scored.as_of_date,
    scored.recency_days,
    scored.frequency,
    scored.monetary,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    concat(
        scored.recency_score, scored.frequency_score, scored.monetary_score
    ) as rfm_cell,
    cells.rfm_segment
from scored
join {{ ref("rfm_cells") }} cells using (recency_score, frequency_score, monetary_score)
