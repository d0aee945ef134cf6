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
            count(*) filter (where orders_count > 0) as buyers,
            -- Fifths of fewer are a handful of people, and of equal ones say nothing.
            count(*) filter (where orders_count > 0) >= 25
            and min(least(last_order_on, scope.as_of_date)) filter (
                where orders_count > 0
            ) < max(least(last_order_on, scope.as_of_date)) filter (
                where orders_count > 0
            )
            and min(orders_count) filter (where orders_count > 0) < max(orders_count)
            and min(net_sales) filter (where orders_count > 0)
            < max(net_sales) filter (where orders_count > 0) as rfm_is_meaningful,
            sum(all_orders) as orders_held,
            sum(orders_at_shopify) as orders_at_shopify
        from {{ ref("int_customers") }}
        join {{ stale("tenants") }} stale_tenants using (tenant_id)
        join {{ transform_scope() }} scope using (tenant_id)
        group by tenant_id
    ),

    -- percentile_cont(0.9) of buyers is between the two at nine tenths, who are found
    -- from above: without a sort.
    places as (
        select
            tenant_id,
            buyers,
            0.9::double precision * (buyers - 1) as place,
            floor(0.9::double precision * (buyers - 1))::bigint as lower_place,
            ceil(0.9::double precision * (buyers - 1))::bigint as upper_place
        from customers
        where buyers > 0
    ),

    high_values as (
        select
            tenant_id,
            case
                when lower_place = upper_place
                then nearest.upper
                else
                    nearest.lower
                    + (place - lower_place) * (nearest.upper - nearest.lower)
            end as high_value_at_least
        from places
        cross join
            lateral(
                select
                    max(net_sales)::double precision as upper,
                    min(net_sales)::double precision as lower
                from
                    (
                        select net_sales
                        from {{ ref("int_customers") }} customers
                        where
                            customers.tenant_id = places.tenant_id and orders_count > 0
                        order by net_sales desc
                        offset places.buyers - 1 - places.upper_place
                        limit 2
                    ) highest
            ) nearest
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
    high_values.high_value_at_least::numeric as high_value_at_least,
    coalesce(customers.rfm_is_meaningful, false) as rfm_is_meaningful,
    coalesce(customers.orders_held, 0) as orders_held,
    coalesce(customers.orders_at_shopify, 0) as orders_at_shopify
from {{ stale("tenants") }} stale_tenants
join {{ transform_scope() }} scope using (tenant_id)
join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
left join customers using (tenant_id)
left join high_values using (tenant_id)
left join days using (tenant_id)
