{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "checkout_id"],
        indexes=[
            {"columns": ["tenant_id", "abandoned_on"]},
            {"columns": ["tenant_id", "customer_id"]},
        ],
        post_hook="{{ partial_index(this, 'in_other_currency', ['tenant_id', 'currency', 'abandoned_on'], 'is_in_other_currency') }}",
        meta={"stale": "checkouts", "marks": {"memberships": ["customer_id"]}},
    )
}}

with
    checkouts as (
        select
            checkouts.*,
            {{
                plausible(
                    "checkouts.created_at",
                    "tenants.iana_timezone",
                    otherwise="checkouts.loaded_at",
                )
            }} as left_at,
            checkouts.currency
            is distinct from tenants.currency as is_in_other_currency,
            tenants.iana_timezone,
            true as is_there
        from {{ ref("stg_shopify__abandoned_checkouts") }} checkouts
        join {{ stale("checkouts") }} stale_checkouts using (tenant_id, checkout_id)
        join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
        where checkouts.deleted_at is null
    ),

    lines as (
        select tenant_id, checkout_id, count(*) as line_count
        from {{ ref("stg_shopify__abandoned_checkout_line_items") }}
        join {{ stale("checkouts") }} stale_checkouts using (tenant_id, checkout_id)
        group by tenant_id, checkout_id
    )

select
    tenant_id,
    checkout_id,
    checkouts.customer_id,
    checkouts.left_at as abandoned_at,
    (checkouts.left_at at time zone checkouts.iana_timezone)::date as abandoned_on,
    coalesce(lines.line_count, 0) as line_count,
    case
        when not checkouts.is_in_other_currency then checkouts.total_price
    end as value,
    checkouts.completed_at is not null as is_recovered,
    checkouts.checkout_token,
    checkouts.currency,
    checkouts.is_in_other_currency
-- A full join, because the planner has no nested loop for it: see the strategy
-- `scoped`.
from checkouts
full join lines using (tenant_id, checkout_id)
where coalesce(checkouts.is_there, false)
