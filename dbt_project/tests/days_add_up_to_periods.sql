-- Orders and new customers of the days of a period are those of the period; its
-- customers are distinct.
with
    recounted as (
        select
            tenant_id,
            grains.grain,
            date_trunc(grains.grain, ordered_on::timestamp)::date as period_start,
            count(*) as orders,
            count(distinct customer_id) as customers,
            count(*) filter (where is_first_order) as new_customers
        from {{ ref("fct_orders") }}
        cross join
            unnest(array['day', 'week', 'month', 'quarter', 'year']) as grains(grain)
        where is_counted
        group by tenant_id, grains.grain, period_start
    )

select tenant_id, grain, period_start
from {{ ref("revenue_trends") }} trends
full join recounted using (tenant_id, grain, period_start)
where
    (trends.orders, trends.customers, trends.new_customers) is distinct from (
        coalesce(recounted.orders, 0),
        coalesce(recounted.customers, 0),
        coalesce(recounted.new_customers, 0)
    )
