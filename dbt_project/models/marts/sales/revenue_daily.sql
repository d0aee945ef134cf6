with
    days as ({{ days_of_tenants() }}),

    measured as (
        select
            tenant_id,
            date_day,
            coalesce(sales.orders, 0) as orders,
            coalesce(sales.customers_of_day, 0) as customers,
            coalesce(sales.new_customers, 0) as new_customers,
            coalesce(sales.customers_of_day, 0)
            - coalesce(sales.new_customers, 0) as returning_customers,
            {{ select_measures("sales") }},
            (sales.ordered_sales / nullif(sales.priced_orders, 0))::numeric(
                20, 4
            ) as average_order_value
        from days
        left join {{ ref("int_daily_sales") }} sales using (tenant_id, date_day)
    )

select
    *,
    (avg(net_sales) over (past rows between 6 preceding and current row))::numeric(
        20, 4
    ) as net_sales_7d_avg,
    (avg(net_sales) over (past rows between 27 preceding and current row))::numeric(
        20, 4
    ) as net_sales_28d_avg
from measured
window past as (partition by tenant_id order by date_day)
