{{
    config(
        unique_key=["tenant_id", "order_line_id"],
        indexes=[
            {"columns": ["tenant_id", "ordered_on"]},
            {"columns": ["tenant_id", "order_id"]},
            {"columns": ["tenant_id", "product_id"]},
        ],
    )
}}

with
    lines as (
        select *
        from {{ ref("stg_order_line_items") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    orders as (
        select tenant_id, order_id, ordered_on
        from {{ ref("fct_orders") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    sales as (
        select
            tenant_id,
            order_line_id,
            sum(gross_sales) as gross_sales,
            sum(discounts) as discounts
        from {{ ref("fct_sales") }}
        where
            order_line_id is not null
            and tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id, order_line_id
    )

select
    tenant_id,
    order_line_id,
    order_id,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.title,
    orders.ordered_on,
    lines.quantity,
    lines.current_quantity,
    lines.unit_price,
    coalesce(sales.gross_sales, 0)::numeric(20, 4) as gross_sales,
    coalesce(sales.discounts, 0)::numeric(20, 4) as discounts
from lines
join orders using (tenant_id, order_id)
left join sales using (tenant_id, order_line_id)
