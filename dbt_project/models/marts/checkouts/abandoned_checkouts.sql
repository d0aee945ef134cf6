select
    checkouts.tenant_id,
    checkouts.checkout_id,
    checkouts.customer_id,
    customers.email,
    checkouts.abandoned_at,
    checkouts.abandoned_on,
    checkouts.line_count,
    checkouts.value,
    checkouts.is_recovered,
    recovered.order_id as recovered_order_id
from {{ ref("int_checkouts") }} checkouts
left join
    {{ ref("int_customers") }} customers
    on customers.tenant_id = checkouts.tenant_id
    and customers.customer_id = checkouts.customer_id
left join
    lateral(
        select min(orders.order_id) as order_id
        from {{ ref("fct_orders") }} orders
        where
            orders.tenant_id = checkouts.tenant_id
            and orders.checkout_token = checkouts.checkout_token
    ) recovered
    on true
