{{
    config(
        materialized="incremental", unique_key=["tenant_id"], meta={"stale": "scope"}
    )
}}

with
    orders as (
        select
            tenant_id,
            min(date_day) filter (where all_orders > 0) as first_order_on,
            max(date_day) filter (where all_orders > 0) as last_order_on,
            sum(all_orders)::bigint as orders_loaded
        from {{ ref("int_daily_sales") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id
    ),

    syncs as (
        select
            tenant_id,
            bool_or(
                stream = 'orders'
                and history_loaded_at is not null
                and history_since is null
            ) as history_is_complete
        from {{ ref("stg_ops__sync_state") }}
        group by tenant_id
    ),

    loads as (
        select tenant_id, max(changed_at) as last_loaded_at
        from {{ ref("stg_ops__last_changes") }}
        group by tenant_id
    )

select
    tenant_id,
    tenants.shop_domain,
    tenants.shop_name,
    tenants.currency,
    tenants.iana_timezone,
    tenants.status,
    tenants.plan,
    orders.first_order_on,
    orders.last_order_on,
    coalesce(orders.orders_loaded, 0) as orders_loaded,
    loads.last_loaded_at,
    -- A token may be granted the scope that shows all orders, and not see them: the
    -- customers say how many there are. (Some are always in transit.)
    coalesce(
        syncs.history_is_complete
        and (
            figures.orders_at_shopify <= 1 + 1.01 * figures.orders_held
            or figures.orders_at_shopify is null
        ),
        false
    ) as history_is_complete
from {{ ref("stg_ops__tenants") }} tenants
join {{ stale("scope") }} scope using (tenant_id)
left join orders using (tenant_id)
left join syncs using (tenant_id)
left join loads using (tenant_id)
left join {{ ref("int_tenant_figures") }} figures using (tenant_id)
