with
    orders as (
        select
            tenant_id,
            customer_id,
            min(ordered_at) as first_order_at,
            max(ordered_at) as last_order_at,
            min(ordered_on) as first_order_on,
            max(ordered_on) as last_order_on,
            count(*) as orders_count
        from {{ ref("fct_orders") }}
        where is_counted and customer_id is not null
        group by tenant_id, customer_id
    ),

    sales as (
        select
            tenant_id,
            customer_id,
            sum(gross_sales + discounts) filter (
                where is_counted and reason = 'ORDER'
            ) as ordered_sales,
            {{ sum_measures() }}
        from {{ ref("fct_sales") }}
        where customer_id is not null
        group by tenant_id, customer_id
    )

select
    tenant_id,
    customer_id,
    orders.first_order_at,
    orders.last_order_at,
    orders.first_order_on,
    orders.last_order_on,
    date_trunc('month', orders.first_order_on)::date as cohort_month,
    coalesce(orders.orders_count, 0) as orders_count,
    {{ select_measures("sales") }},
    sales.ordered_sales / nullif(orders.orders_count, 0) as average_order_value,
    extract(epoch from orders.last_order_at - orders.first_order_at)
    / 86400
    / nullif(orders.orders_count - 1, 0) as average_days_between_orders
from orders
full join sales using (tenant_id, customer_id)
