{# The periods of every grain that a tenant's days lie in: date_trunc's name, the step, the days to last year's. #}
{% set grains = {
    "day": "1 day",
    "week": "7 days",
    "month": "1 month",
    "quarter": "3 months",
    "year": "1 year",
} %}

with
    days as ({{ days_of_tenants() }}),

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
            sum(sales.priced_orders) as priced_orders,
            {{ sum_measures() }},
            -- Of its first days, as many as the running period of its grain has had.
            coalesce(
                sum(sales.net_sales) filter (
                    where
                        days.date_day
                        - date_trunc(grains.grain, days.date_day::timestamp)::date
                        <= figures.as_of_date
                        - date_trunc(grains.grain, figures.as_of_date::timestamp)::date
                ),
                0
            ) as net_sales_of_first_days,
            max(figures.as_of_date) as as_of_date
        from days
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        cross join unnest(array['{{ grains | join("', '") }}']) as grains(grain)
        left join {{ ref("int_daily_sales") }} sales using (tenant_id, date_day)
        group by tenant_id, grains.grain, period_start
    ),

    running as (
        select
            *,
            -- Its last day is not today: tomorrow lies in it too.
            period_start = date_trunc(grain, as_of_date::timestamp)::date
            and period_start
            = date_trunc(grain, (as_of_date + 1)::timestamp)::date as is_partial
        from measured
    ),

    compared as (
        select
            *,
            {% for sales in ["net_sales", "net_sales_of_first_days"] %}
                lag({{ sales }}) over periods as {{ sales }}_previous,
                case
                    when grain = 'week'
                    then lag({{ sales }}, 52) over periods
                    else
                        first_value({{ sales }}) over (
                            periods
                            range
                            between interval '1 year' preceding
                            and interval '1 year' preceding
                        )
                end as {{ sales }}_last_year{{ "," if not loop.last }}
            {% endfor %}
        from running
        window periods as (partition by tenant_id, grain order by period_start)
    ),

    -- The running period has had some days only, and is compared with as many.
    like_with_like as (
        select
            *,
            case
                when is_partial then net_sales_of_first_days else net_sales
            end as net_sales_compared,
            {% for base in ["previous", "last_year"] %}
                case
                    when is_partial
                    then net_sales_of_first_days_{{ base }}
                    else net_sales_{{ base }}
                end as net_sales_{{ base }}_compared{{ "," if not loop.last }}
            {% endfor %}
        from compared
    )

select
    tenant_id,
    grain,
    period_start,
    orders,
    customers,
    new_customers,
    customers - new_customers as returning_customers,
    {{ select_measures("like_with_like") }},
    (ordered_sales / nullif(priced_orders, 0))::numeric(20, 4) as average_order_value,
    net_sales_previous::numeric(20, 4) as net_sales_previous,
    {{ growth("net_sales_compared", "net_sales_previous_compared") }}
    as net_sales_growth,
    net_sales_last_year::numeric(20, 4) as net_sales_last_year,
    {{ growth("net_sales_compared", "net_sales_last_year_compared") }}
    as net_sales_yoy_growth,
    is_partial,
    net_sales_previous_compared::numeric(20, 4) as net_sales_previous_compared,
    net_sales_last_year_compared::numeric(20, 4) as net_sales_last_year_compared
from like_with_like
