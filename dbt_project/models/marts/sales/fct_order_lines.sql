{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "order_line_id"],
        indexes=[
            {"columns": ["tenant_id", "ordered_on"]},
            {"columns": ["tenant_id", "order_id"]},
            {"columns": ["tenant_id", "product_id"]},
        ],
        meta={"stale": "orders"},
    )
}}

with
    lines as (
        select lines.*, orders.ordered_on, true as is_there
        from {{ ref("stg_shopify__order_line_items") }} lines
        join {{ stale("orders") }} stale_orders using (tenant_id, order_id)
        join {{ ref("int_orders") }} orders using (tenant_id, order_id)
    ),

    sales as (
        select
            tenant_id,
            order_line_id,
            sum(gross_sales) as gross_sales,
            sum(discounts) as discounts
        from {{ ref("fct_sales") }}
        join {{ stale("orders") }} stale_orders using (tenant_id, order_id)
        where order_line_id is not null
        group by tenant_id, order_line_id
    )

select
    tenant_id,
    order_line_id,
    lines.order_id,
    lines.product_id,
    lines.variant_id,
    lines.sku,
    lines.title,
    lines.ordered_on,
    lines.quantity,
    lines.current_quantity,
    lines.unit_price,
    coalesce(sales.gross_sales, 0)::numeric(20, 4) as gross_sales,
    coalesce(sales.discounts, 0)::numeric(20, 4) as discounts
-- A full join, because the planner has no nested loop for it: see the strategy
-- `scoped`.
from lines
full join sales using (tenant_id, order_line_id)
where coalesce(lines.is_there, false)
