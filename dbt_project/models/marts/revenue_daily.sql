{{ config(unique_key=["tenant_id", "date_day"]) }}

with
    sales as (
        select
            tenant_id,
            happened_on as date_day,
            sum(gross_sales + discounts) filter (
                where is_counted and reason = 'ORDER'
            ) as ordered_sales,
            {{ sum_measures() }}
        from {{ ref("fct_sales") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id, happened_on
    ),

    orders as (
        select
            tenant_id,
            ordered_on as date_day,
            count(*) as orders,
            count(distinct customer_id) as customers,
            count(*) filter (where is_first_order) as new_customers
        from {{ ref("fct_orders") }}
        where
            is_counted and tenant_id in (select tenant_id from {{ transform_scope() }})
        group by tenant_id, ordered_on
    ),

    spans as (
        select
            tenant_id,
            min(date_day) as first_day,
            greatest(max(date_day), max(scope.as_of_date)) as last_day
        from sales
        join {{ transform_scope() }} scope using (tenant_id)
        group by tenant_id
    ),

    days as (
        select
            tenant_id,
            generate_series(first_day, last_day, interval '1 day')::date as date_day
        from spans
    ),

    measured as (
        select
            tenant_id,
            date_day,
            coalesce(orders.orders, 0) as orders,
            coalesce(orders.customers, 0) as customers,
            coalesce(orders.new_customers, 0) as new_customers,
            coalesce(orders.customers, 0)
            - coalesce(orders.new_customers, 0) as returning_customers,
            {{ select_measures("sales") }},
            (coalesce(sales.ordered_sales, 0) / nullif(orders.orders, 0))::numeric(
                20, 4
            ) as average_order_value
        from days
        left join orders using (tenant_id, date_day)
        left join sales using (tenant_id, date_day)
    )

select
    *,
    (
        avg(net_sales) over (
            partition by tenant_id
            order by date_day
            rows between 6 preceding and current row
        )
    )::numeric(20, 4) as net_sales_7d_avg,
    (
        avg(net_sales) over (
            partition by tenant_id
            order by date_day
            rows between 27 preceding and current row
        )
    )::numeric(20, 4) as net_sales_28d_avg
from measured
