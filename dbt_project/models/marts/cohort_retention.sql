{{ config(unique_key=["tenant_id", "cohort_month", "period_number"]) }}

with
    customers as (
        select tenant_id, customer_id, cohort_month
        from {{ ref("int_customers") }}
        where
            cohort_month is not null
            and tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    cohorts as (
        select tenant_id, cohort_month, count(*) as cohort_size
        from customers
        group by tenant_id, cohort_month
    ),

    orders as (
        select
            tenant_id,
            customers.cohort_month,
            {{ months_between("customers.cohort_month", "orders.ordered_on") }}
            as period_number,
            count(distinct customer_id) as active_customers,
            count(*) as orders
        from {{ ref("fct_orders") }} orders
        join customers using (tenant_id, customer_id)
        where orders.is_counted
        group by tenant_id, customers.cohort_month, period_number
    ),

    sales as (
        select
            tenant_id,
            customers.cohort_month,
            greatest(
                {{ months_between("customers.cohort_month", "sales.happened_on") }}, 0
            ) as period_number,
            sum(sales.net_sales) as net_sales
        from {{ ref("fct_sales") }} sales
        join customers using (tenant_id, customer_id)
        group by tenant_id, customers.cohort_month, period_number
    ),

    last_periods as (
        select
            tenant_id,
            greatest(max(scope.as_of_date), max(happened.happened_on)) as last_day
        from {{ transform_scope() }} scope
        left join {{ ref("fct_sales") }} happened using (tenant_id)
        group by tenant_id
    ),

    periods as (
        select
            tenant_id,
            cohort_month,
            cohort_size,
            generate_series(
                0, {{ months_between("cohort_month", "last_day") }}
            ) as period_number
        from cohorts
        join last_periods using (tenant_id)
    ),

    measured as (
        select
            tenant_id,
            cohort_month,
            period_number,
            periods.cohort_size,
            coalesce(orders.active_customers, 0) as active_customers,
            coalesce(orders.orders, 0) as orders,
            coalesce(sales.net_sales, 0) as net_sales,
            sum(coalesce(sales.net_sales, 0)) over (
                partition by tenant_id, cohort_month order by period_number
            ) as cumulative_net_sales
        from periods
        left join orders using (tenant_id, cohort_month, period_number)
        left join sales using (tenant_id, cohort_month, period_number)
    )

select
    tenant_id,
    cohort_month,
    period_number,
    cohort_size,
    active_customers,
    (active_customers::numeric / cohort_size)::numeric(20, 6) as retention_rate,
    orders,
    net_sales::numeric(20, 4) as net_sales,
    cumulative_net_sales::numeric(20, 4) as cumulative_net_sales,
    (cumulative_net_sales / cohort_size)::numeric(20, 4) as ltv
from measured
