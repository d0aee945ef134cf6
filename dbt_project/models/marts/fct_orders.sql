{{
    config(
        unique_key=["tenant_id", "order_id"],
        indexes=[
            {"columns": ["tenant_id", "ordered_on"]},
            {"columns": ["tenant_id", "customer_id"]},
        ],
    )
}}

with
    orders as (
        select *
        from {{ ref("int_orders") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    numbered as (
        select
            tenant_id,
            order_id,
            row_number() over (
                partition by tenant_id, customer_id order by ordered_at, order_id
            ) as customer_order_number
        from orders
        where is_counted and customer_id is not null
    ),

    lines as (
        select tenant_id, order_id, count(*) as line_count
        from {{ ref("stg_order_line_items") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id, order_id
    ),

    sales as (
        select tenant_id, order_id, {{ sum_measures() }}
        from {{ ref("fct_sales") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id, order_id
    )

select
    tenant_id,
    order_id,
    orders.order_name,
    orders.customer_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.currency,
    orders.presentment_currency,
    orders.financial_status,
    orders.fulfillment_status,
    orders.cancelled_at,
    orders.is_counted,
    numbered.customer_order_number,
    coalesce(numbered.customer_order_number = 1, false) as is_first_order,
    orders.source_name,
    orders.country_code,
    orders.tags,
    orders.discount_codes,
    coalesce(lines.line_count, 0) as line_count,
    {{ select_measures("sales") }}
from orders
left join numbered using (tenant_id, order_id)
left join lines using (tenant_id, order_id)
left join sales using (tenant_id, order_id)
