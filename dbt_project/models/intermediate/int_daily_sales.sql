{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "date_day"],
        meta={"stale": "days", "marks": {"tenants": []}},
    )
}}

with
    orders as (
        select
            tenant_id,
            ordered_on as date_day,
            count(*) as all_orders,
            count(*) filter (where is_counted) as orders,
            count(*) filter (
                where is_counted and not is_in_other_currency
            ) as priced_orders,
            count(*) filter (where is_first_order) as new_customers,
            {% for period in ["day", "week", "month", "quarter", "year"] %}
                count(*) filter (
                    where is_first_of_{{ period }}
                ) as customers_of_{{ period }},
            {% endfor %}
            coalesce(sum(ordered_sales) filter (where is_counted), 0) as ordered_sales
        from {{ ref("fct_orders") }}
        join {{ stale("days") }} stale_days using (tenant_id)
        where ordered_on = stale_days.date_day
        group by tenant_id, ordered_on
    ),

    sales as (
        select tenant_id, happened_on as date_day, {{ sum_measures() }}
        from {{ ref("fct_sales") }}
        join {{ stale("days") }} stale_days using (tenant_id)
        where happened_on = stale_days.date_day
        group by tenant_id, happened_on
    )

select
    tenant_id,
    date_day,
    coalesce(orders.all_orders, 0) as all_orders,
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.new_customers, 0) as new_customers,
    coalesce(orders.customers_of_day, 0) as customers_of_day,
    coalesce(orders.customers_of_week, 0) as customers_of_week,
    coalesce(orders.customers_of_month, 0) as customers_of_month,
    coalesce(orders.customers_of_quarter, 0) as customers_of_quarter,
    coalesce(orders.customers_of_year, 0) as customers_of_year,
    coalesce(orders.priced_orders, 0) as priced_orders,
    coalesce(orders.ordered_sales, 0)::numeric(20, 4) as ordered_sales,
    {{ select_measures("sales") }}
from orders
full join sales using (tenant_id, date_day)
