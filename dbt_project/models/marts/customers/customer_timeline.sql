with
    moves as (
        select
            *,
            lag(rfm_segment) over (
                partition by tenant_id, customer_id order by valid_from
            ) as previous_segment
        from {{ ref("rfm_history") }}
    )

select
    tenant_id,
    customer_id,
    created_at as occurred_at,
    'created/' || customer_id as event_id,
    'created' as event_type,
    'Became a customer' as title,
    null::numeric(20, 4) as amount
from {{ ref("int_customers") }}
where has_profile and created_at is not null

union all

select
    tenant_id,
    customer_id,
    ordered_at,
    'order/' || order_id,
    'order',
    'Ordered ' || coalesce(order_name, order_id::text),
    case when not is_in_other_currency then ordered_total end
from {{ ref("fct_orders") }}
where customer_id is not null

union all

select
    tenant_id,
    customer_id,
    cancelled_at,
    'cancellation/' || order_id,
    'cancellation',
    'Cancelled ' || coalesce(order_name, order_id::text),
    null
from {{ ref("fct_orders") }}
where customer_id is not null and cancelled_at is not null

union all

select
    tenant_id,
    orders.customer_id,
    refunds.refunded_at,
    'refund/' || refunds.refund_id,
    'refund',
    'Refund of ' || coalesce(orders.order_name, order_id::text),
    - refunds.amount
from {{ ref("int_refunds") }} refunds
join {{ ref("fct_orders") }} orders using (tenant_id, order_id)
where orders.customer_id is not null

union all

select
    tenant_id,
    customer_id,
    abandoned_at,
    'checkout/' || checkout_id,
    'checkout_abandoned',
    'Left a checkout',
    value
from {{ ref("int_checkouts") }}
where customer_id is not null

union all

select
    tenant_id,
    customer_id,
    valid_from::timestamp at time zone tenants.iana_timezone,
    'segment/' || customer_id || '/' || to_char(valid_from::timestamp, 'YYYY-MM-DD'),
    'segment_change',
    'From ' || previous_segment || ' to ' || rfm_segment,
    null
from moves
join {{ ref("dim_tenants") }} tenants using (tenant_id)
where previous_segment <> rfm_segment

union all

select
    tenant_id,
    customer_id,
    valid_from::timestamp at time zone tenants.iana_timezone,
    'segment_joined/'
    || segment_id
    || '/'
    || customer_id
    || '/'
    || to_char(valid_from::timestamp, 'YYYY-MM-DD'),
    'segment_change',
    'Joined ' || segments.segment_name,
    null
from {{ ref("segment_history") }}
join {{ ref("int_segments") }} segments using (tenant_id, segment_id)
join {{ ref("dim_tenants") }} tenants using (tenant_id)

union all

select
    tenant_id,
    customer_id,
    valid_to::timestamp at time zone tenants.iana_timezone,
    'segment_left/'
    || segment_id
    || '/'
    || customer_id
    || '/'
    || to_char(valid_to::timestamp, 'YYYY-MM-DD'),
    'segment_change',
    'Left ' || segments.segment_name,
    null
from {{ ref("segment_history") }}
join {{ ref("int_segments") }} segments using (tenant_id, segment_id)
join {{ ref("dim_tenants") }} tenants using (tenant_id)
where valid_to is not null
