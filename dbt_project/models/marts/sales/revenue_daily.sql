with
    days as (
        select
            tenant_id,
            first_sale_on + generate_series(0, last_day - first_sale_on) as date_day
        from {{ ref("int_tenant_figures") }}
    ),

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
