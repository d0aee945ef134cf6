select
    orders.tenant_id,
    orders.order_id,
    orders.order_name,
    orders.customer_id,
    orders.ordered_at,
    (orders.ordered_at at time zone tenants.iana_timezone)::date as ordered_on,
    orders.currency,
    orders.presentment_currency,
    orders.financial_status,
    orders.fulfillment_status,
    orders.cancelled_at,
    orders.cancelled_at is null as is_counted,
    orders.source_name,
    orders.country_code,
    orders.tags,
    orders.discount_codes,
    orders.checkout_token,
    orders.cart_token,
    tenants.iana_timezone
from {{ ref("stg_orders") }} orders
join {{ ref("stg_tenants") }} tenants on tenants.tenant_id = orders.tenant_id
where orders.deleted_at is null and not coalesce(orders.is_test, false)
