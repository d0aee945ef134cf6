with
    active as (
        select
            tenant_id,
            cohort_month,
            period_number,
            count(*) filter (where orders > 0) as active_customers,
            sum(orders) as orders,
            sum(net_sales) as net_sales
        from {{ ref("int_customer_months") }}
        group by tenant_id, cohort_month, period_number
    ),

    cohorts as (
        select
            tenant_id,
            customers.cohort_month,
            count(*) as cohort_size,
            max(
                {{ months_between("customers.cohort_month", "figures.last_day") }}
            ) as last_period
        from {{ ref("int_customers") }} customers
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        where customers.cohort_month is not null
        group by tenant_id, customers.cohort_month
    ),

    periods as (
        select
            tenant_id,
            cohort_month,
            cohort_size,
            generate_series(0, last_period) as period_number
        from cohorts
    ),

    measured as (
        select
            tenant_id,
            cohort_month,
            period_number,
            periods.cohort_size,
            coalesce(active.active_customers, 0) as active_customers,
            coalesce(active.orders, 0) as orders,
            coalesce(active.net_sales, 0) as net_sales,
            sum(coalesce(active.net_sales, 0)) over (
                partition by tenant_id, cohort_month order by period_number
            ) as cumulative_net_sales
        from periods
        left join active using (tenant_id, cohort_month, period_number)
    )

select
    tenant_id,
    cohort_month,
    period_number,
    cohort_size,
    active_customers,
    (active_customers::numeric / cohort_size)::numeric(20, 6) as retention_rate,
    orders::bigint as orders,
    net_sales::numeric(20, 4) as net_sales,
    cumulative_net_sales::numeric(20, 4) as cumulative_net_sales,
    (cumulative_net_sales / cohort_size)::numeric(20, 4) as ltv
from measured
