{{ config(materialized="view") }}

-- Subqueries, not CTEs: see int_sales.
select
    tenant_id,
    order_id,
    order_name,
    customer_id,
    placed_at,
    ordered_at,
    (ordered_at at time zone iana_timezone)::date as ordered_on,
    is_redated,
    currency,
    currency is distinct from shop_currency as is_in_other_currency,
    presentment_currency,
    financial_status,
    fulfillment_status,
    cancelled_at,
    is_counted,
    source_name,
    country_code,
    tags,
    discount_codes,
    checkout_token,
    cart_token,
    iana_timezone
from
    (
        select
            orders.*,
            case
                when {{ is_plausible("processed_at", "iana_timezone") }}
                then processed_at
                else placed_at
            end as ordered_at,
            {{
                plausible(
                    "cancelled_at_shopify", "iana_timezone", otherwise="placed_at"
                )
            }} as cancelled_at,
            cancelled_at_shopify is null as is_counted,
            not coalesce({{ is_plausible("processed_at", "iana_timezone") }}, false)
            or (
                cancelled_at_shopify is not null
                and not {{ is_plausible("cancelled_at_shopify", "iana_timezone") }}
            ) as is_redated
        from
            (
                select
                    orders.tenant_id,
                    orders.order_id,
                    orders.order_name,
                    orders.customer_id,
                    case
                        when
                            {{
                                is_plausible(
                                    "orders.created_at", "tenants.iana_timezone"
                                )
                            }}
                        then orders.created_at
                        else orders.loaded_at
                    end as placed_at,
                    orders.ordered_at as processed_at,
                    orders.currency,
                    orders.presentment_currency,
                    orders.financial_status,
                    orders.fulfillment_status,
                    orders.cancelled_at as cancelled_at_shopify,
                    orders.source_name,
                    orders.country_code,
                    orders.tags,
                    orders.discount_codes,
                    orders.checkout_token,
                    orders.cart_token,
                    tenants.iana_timezone,
                    tenants.currency as shop_currency
                from {{ ref("stg_shopify__orders") }} orders
                join
                    {{ ref("stg_ops__tenants") }} tenants
                    on tenants.tenant_id = orders.tenant_id
                where orders.deleted_at is null and not coalesce(orders.is_test, false)
            ) orders
    ) dated
