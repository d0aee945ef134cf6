{{
    config(
        unique_key=["tenant_id", "checkout_id"],
        indexes=[
            {"columns": ["tenant_id", "abandoned_on"]},
            {"columns": ["tenant_id", "customer_id"]},
        ],
        meta={"stale": "checkouts"},
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
            tenants.iana_timezone,
            true as is_there
        from {{ ref("stg_abandoned_checkouts") }} checkouts
        join {{ stale("checkouts") }} stale_checkouts using (tenant_id, checkout_id)
        join {{ ref("stg_tenants") }} tenants using (tenant_id)
        where checkouts.deleted_at is null
    ),

    lines as (
        select tenant_id, checkout_id, count(*) as line_count
        from {{ ref("stg_abandoned_checkout_line_items") }}
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
    coalesce(checkouts.total_price, 0) as value,
    checkouts.completed_at is not null as is_recovered,
    checkouts.checkout_token
-- A full join, because the planner has no nested loop for it: see the strategy
-- `scoped`.
from checkouts
full join lines using (tenant_id, checkout_id)
where coalesce(checkouts.is_there, false)
