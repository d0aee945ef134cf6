{{
    config(
        materialized="incremental",
        unique_key=["tenant_id"],
        meta={
            "stale": "tenants",
            "marks": {"high_value_bounds": ["high_value_at_least"]},
        },
    )
}}

with
    customers as (
        select
            tenant_id,
            percentile_cont(0.9) within group (
                order by net_sales
            ) as high_value_at_least,
            -- Fifths of fewer are a handful of people, and of equal ones say nothing.
            count(*) >= 25
            and min(greatest(scope.as_of_date - last_order_on, 0))
            < max(greatest(scope.as_of_date - last_order_on, 0))
            and min(orders_count) < max(orders_count)
            and min(net_sales) < max(net_sales) as rfm_is_meaningful
        from {{ ref("int_customers") }}
        join {{ stale("tenants") }} stale_tenants using (tenant_id)
        join {{ transform_scope() }} scope using (tenant_id)
        where orders_count > 0
        group by tenant_id
    ),

    orders as (
        select
            tenant_id,
            sum(all_orders) as orders_held,
            sum(orders_at_shopify) as orders_at_shopify
        from {{ ref("int_customers") }}
        join {{ stale("tenants") }} stale_tenants using (tenant_id)
        group by tenant_id
    ),

    days as (
        select tenant_id, min(date_day) as first_sale_on, max(date_day) as last_sale_on
        from {{ ref("int_daily_sales") }}
        join {{ stale("tenants") }} stale_tenants using (tenant_id)
        group by tenant_id
    )

select
    tenant_id,
    scope.as_of_date,
    days.first_sale_on,
    greatest(days.last_sale_on, scope.as_of_date) as last_day,
    customers.high_value_at_least::numeric as high_value_at_least,
    coalesce(customers.rfm_is_meaningful, false) as rfm_is_meaningful,
    coalesce(orders.orders_held, 0) as orders_held,
    coalesce(orders.orders_at_shopify, 0) as orders_at_shopify
from {{ stale("tenants") }} stale_tenants
join {{ transform_scope() }} scope using (tenant_id)
join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
left join customers using (tenant_id)
left join orders using (tenant_id)
left join days using (tenant_id)
