select
    carts.tenant_id,
    carts.cart_id,
    carts.first_seen_at,
    carts.updated_at,
    carts.line_count,
    carts.units,
    carts.value,
    abandonment.abandoned_at is not null as is_abandoned,
    abandonment.abandoned_at
from {{ ref("int_carts") }} carts
left join
    lateral(
        select carts.updated_at + interval '1 hour' as abandoned_at
        where
            carts.line_count > 0
            and carts.updated_at <= now() - interval '1 hour'
            and not exists (
                select
                from {{ ref("fct_orders") }} orders
                where
                    orders.tenant_id = carts.tenant_id
                    and orders.cart_token = carts.cart_id
            )
    ) abandonment
    on true
