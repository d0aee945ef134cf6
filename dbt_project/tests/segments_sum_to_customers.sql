-- Every customer with a counted order has a segment, and every cohort and segment its
-- customers.
with
    counts as (
        select
            tenants.tenant_id,
            (
                select count(distinct orders.customer_id)
                from {{ ref("fct_orders") }} orders
                where orders.tenant_id = tenants.tenant_id and orders.is_counted
            ) as buyers,
            (
                select sum(segments.customers)
                from {{ ref("rfm_segments") }} segments
                where segments.tenant_id = tenants.tenant_id
            ) as segmented,
            (
                select coalesce(sum(cohorts.cohort_size), 0)
                from {{ ref("cohort_retention") }} cohorts
                where
                    cohorts.tenant_id = tenants.tenant_id and cohorts.period_number = 0
            ) as in_cohorts
        from {{ ref("dim_tenants") }} tenants
    )

select *
from counts
where buyers <> segmented or buyers <> in_cohorts
