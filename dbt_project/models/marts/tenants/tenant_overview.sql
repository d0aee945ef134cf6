with
    customers as (
        select
            tenant_id,
            count(*) as customers,
            count(*) filter (
                where
                    customers.net_sales > 0
                    and customers.net_sales >= figures.high_value_at_least
            ) as high_value_customers,
            count(*) filter (
                where figures.as_of_date - customers.last_order_on > 90
            ) as churn_risk_customers
        from {{ ref("int_customers") }} customers
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        where customers.orders_count > 0
        group by tenant_id
    ),

    sales as (
        select
            tenant_id,
            sum(orders) as orders,
            sum(net_sales) as net_sales,
            sum(ordered_sales) as ordered_sales,
            sum(priced_orders) as priced_orders,
            {% for window, days in [
                ("last_30d", "between 0 and 29"),
                ("previous_30d", "between 30 and 59"),
            ] %}
                {% for measure in [
                    "orders",
                    "net_sales",
                    "ordered_sales",
                    "priced_orders",
                ] %}
                    coalesce(
                        sum({{ measure }}) filter (
                            where figures.as_of_date - date_day {{ days }}
                        ),
                        0
                    ) as {{ measure }}_{{ window }}{{ "," if not loop.last }}
                {% endfor %} {{ "," if not loop.last }}
            {% endfor %}
        from {{ ref("int_daily_sales") }}
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        group by tenant_id
    ),

    recent as (
        select
            tenant_id,
            count(distinct customer_id) filter (
                where ordered_on > as_of_date - 30
            ) as customers_last_30d,
            count(distinct customer_id) filter (
                where ordered_on <= as_of_date - 30
            ) as customers_previous_30d
        from {{ ref("fct_orders") }}
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        where
            is_counted
            and ordered_on > figures.as_of_date - 60
            and ordered_on <= figures.as_of_date
        group by tenant_id
    )

select
    tenant_id,
    figures.as_of_date,
    coalesce(customers.customers, 0) as customers,
    coalesce(sales.orders, 0)::bigint as orders,
    coalesce(sales.net_sales, 0)::numeric(20, 4) as net_sales,
    (sales.ordered_sales / nullif(sales.priced_orders, 0))::numeric(
        20, 4
    ) as average_order_value,
    coalesce(customers.high_value_customers, 0) as high_value_customers,
    coalesce(customers.churn_risk_customers, 0) as churn_risk_customers,
    {% for window in ["last_30d", "previous_30d"] %}
        coalesce(recent.customers_{{ window }}, 0) as customers_{{ window }},
        coalesce(sales.orders_{{ window }}, 0)::bigint as orders_{{ window }},
        coalesce(sales.net_sales_{{ window }}, 0)::numeric(
            20, 4
        ) as net_sales_{{ window }},
        (
            sales.ordered_sales_{{ window }}
            / nullif(sales.priced_orders_{{ window }}, 0)
        )::numeric(20, 4) as average_order_value_{{ window }},
    {% endfor %}
    tenants.last_loaded_at,
    coalesce(figures.rfm_is_meaningful, false) as rfm_is_meaningful
from {{ ref("int_tenant_figures") }} figures
join {{ ref("dim_tenants") }} tenants using (tenant_id)
left join customers using (tenant_id)
left join sales using (tenant_id)
left join recent using (tenant_id)
