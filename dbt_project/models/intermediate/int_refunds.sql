{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "refund_id"],
        indexes=[{"columns": ["tenant_id", "order_id"]}],
        post_hook="{{ partial_index(this, 'redated', ['tenant_id', 'order_id'], 'is_redated') }}",
        meta={"stale": "orders"},
    )
}}

with
    refunds as (
        select
            refunds.*,
            orders.is_in_other_currency,
            orders.placed_at,
            orders.iana_timezone,
            true as is_there
        from {{ ref("stg_shopify__refunds") }} refunds
        join {{ stale("orders") }} stale_orders using (tenant_id, order_id)
        join {{ ref("int_orders") }} orders using (tenant_id, order_id)
        where refunds.total_refunded > 0
    ),

    agreements as (
        select tenant_id, refund_id, min(happened_at) as happened_at
        from {{ ref("stg_shopify__order_agreements") }}
        join {{ stale("orders") }} stale_orders using (tenant_id, order_id)
        where refund_id is not null
        group by tenant_id, refund_id
    ),

    dated as (
        select
            tenant_id,
            refund_id,
            refunds.order_id,
            refunds.is_in_other_currency,
            refunds.total_refunded,
            coalesce(
                {% for instant in [
                    "refunds.processed_at",
                    "refunds.created_at",
                    "agreements.happened_at",
                ] %}
                    {{ plausible(instant, "refunds.iana_timezone") }},
                {% endfor %}
                refunds.placed_at
            ) as refunded_at,
            coalesce(
                refunds.processed_at, refunds.created_at, agreements.happened_at
            ) as stated_at
        -- A full join, because the planner has no nested loop for it: see the strategy
        -- `scoped`.
        from refunds
        full join agreements using (tenant_id, refund_id)
        where coalesce(refunds.is_there, false)
    )

select
    tenant_id,
    dated.refund_id,
    dated.order_id,
    dated.refunded_at,
    case when not dated.is_in_other_currency then dated.total_refunded end as amount,
    dated.stated_at is distinct from dated.refunded_at as is_redated
from dated
