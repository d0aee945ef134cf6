{# The periods of every grain that a tenant's days lie in: date_trunc's name, the step, the days to last year's. #}
{% set grains = {
    "day": "1 day",
    "week": "7 days",
    "month": "1 month",
    "quarter": "3 months",
    "year": "1 year",
} %}

with
    days as (
        select
            tenant_id,
            first_sale_on + generate_series(0, last_day - first_sale_on) as date_day
        from {{ ref("tenant_figures") }}
    ),

    measured as (
        select
            tenant_id,
            grains.grain,
            date_trunc(grains.grain, days.date_day::timestamp)::date as period_start,
            coalesce(sum(sales.orders), 0)::bigint as orders,
            coalesce(
                sum(
                    case
                        grains.grain
                        {% for grain in grains %}
                            when '{{ grain }}' then sales.customers_of_{{ grain }}
                        {% endfor %}
                    end
                ),
                0
            )::bigint as customers,
            coalesce(sum(sales.new_customers), 0)::bigint as new_customers,
            sum(sales.ordered_sales) as ordered_sales,
            {{ sum_measures() }}
        from days
        cross join unnest(array['{{ grains | join("', '") }}']) as grains(grain)
        left join {{ ref("daily_sales") }} sales using (tenant_id, date_day)
        group by tenant_id, grains.grain, period_start
    ),

    compared as (
        select
            *,
            lag(net_sales) over periods as net_sales_previous,
            case
                when grain = 'week'
                then lag(net_sales, 52) over periods
                else
                    first_value(net_sales) over (
                        periods
                        range
                        between interval '1 year' preceding
                        and interval '1 year' preceding
                    )
            end as net_sales_last_year
        from measured
        window periods as (partition by tenant_id, grain order by period_start)
    )

select
    tenant_id,
    grain,
    period_start,
    orders,
    customers,
    new_customers,
    customers - new_customers as returning_customers,
    {{ select_measures("compared") }},
    (ordered_sales / nullif(orders, 0))::numeric(20, 4) as average_order_value,
    net_sales_previous::numeric(20, 4) as net_sales_previous,
    ((net_sales - net_sales_previous) / nullif(net_sales_previous, 0))::numeric(
        20, 6
    ) as net_sales_growth,
    net_sales_last_year::numeric(20, 4) as net_sales_last_year,
    ((net_sales - net_sales_last_year) / nullif(net_sales_last_year, 0))::numeric(
        20, 6
    ) as net_sales_yoy_growth
from compared
