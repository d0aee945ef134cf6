{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "sale_id"],
        indexes=[
            {"columns": ["tenant_id", "happened_on"]},
            {"columns": ["tenant_id", "order_id"]},
            {"columns": ["tenant_id", "customer_id"]},
            {"columns": ["tenant_id", "product_id", "happened_month"]},
        ],
        post_hook="{{ partial_index(this, 'unknown', ['tenant_id'], 'not is_known') }}",
        meta={
            "stale": "orders",
            "marks": {
                "customers": ["customer_id"],
                "days": ["happened_on"],
                "product_months": ["product_id", "happened_month"],
            },
        },
    )
}}

with
    sales as (
        select sales.*
        from {{ ref("int_sales") }} sales
        join {{ stale("orders") }} stale_orders using (tenant_id, order_id)
    )

select
    tenant_id,
    sale_id,
    order_id,
    customer_id,
    order_line_id,
    happened_at,
    happened_on,
    reason,
    action_type,
    line_type,
    quantity,
    {{ select_measures("sales") }},
    is_counted,
    product_id,
    variant_id,
    date_trunc('month', happened_on::timestamp)::date as happened_month,
    coalesce(
        line_type = 'PRODUCT'
        and action_type = 'ORDER'
        and is_counted
        and product_id is not null
        and row_number() over (
            partition by tenant_id, order_id, product_id, line_type, action_type
            order by happened_at, sale_id
        )
        = 1,
        false
    ) as is_first_of_product,
    is_known,
    is_redated
from sales
