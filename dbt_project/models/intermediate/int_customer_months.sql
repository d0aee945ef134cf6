{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "customer_id", "period_number"],
        meta={"stale": "customers"},
    )
}}

with
    customers as (
        select tenant_id, customer_id, cohort_month
        from {{ ref("int_customers") }}
        join {{ stale("customers") }} stale_customers using (tenant_id, customer_id)
        where cohort_month is not null
    ),

    happened as (
        select
            tenant_id,
            customer_id,
            cohort_month,
            {{ months_between("cohort_month", "orders.ordered_on") }} as period_number,
            1 as orders,
            0 as net_sales
        from {{ ref("fct_orders") }} orders
        join customers using (tenant_id, customer_id)
        where orders.is_counted
        union all
        select
            tenant_id,
            customer_id,
            cohort_month,
            greatest(
                {{ months_between("cohort_month", "sales.happened_on") }}, 0
            ) as period_number,
            0 as orders,
            sales.net_sales
        from {{ ref("fct_sales") }} sales
        join customers using (tenant_id, customer_id)
    )

select
    tenant_id,
    customer_id,
    period_number,
    cohort_month,
    sum(orders)::bigint as orders,
    sum(net_sales)::numeric(20, 4) as net_sales
from happened
group by tenant_id, customer_id, period_number, cohort_month
