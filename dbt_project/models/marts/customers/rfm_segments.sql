with
    -- Named here and not read from the seed, which is no tenant's to read; a test
    -- compares them.
    segments as (
        select
            unnest(
                array[
                    'CHAMPIONS',
                    'LOYAL',
                    'POTENTIAL_LOYALIST',
                    'NEW_CUSTOMERS',
                    'PROMISING',
                    'NEED_ATTENTION',
                    'ABOUT_TO_SLEEP',
                    'AT_RISK',
                    'CANNOT_LOSE',
                    'HIBERNATING',
                    'LOST'
                ]
            ) as rfm_segment
    ),

    summed as (
        select
            tenant_id,
            scores.rfm_segment,
            count(*) as customers,
            sum(customers.orders_count) as orders,
            sum(customers.net_sales) as net_sales,
            sum(customers.ordered_sales) as ordered_sales,
            sum(customers.priced_orders) as priced_orders,
            avg(
                greatest(figures.as_of_date - customers.last_order_on, 0)
            ) as average_recency_days
        from {{ ref("int_customer_scores") }} scores
        join {{ ref("int_customers") }} customers using (tenant_id, customer_id)
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        group by tenant_id, scores.rfm_segment
    )

select
    tenants.tenant_id,
    segments.rfm_segment,
    coalesce(summed.customers, 0) as customers,
    (
        coalesce(summed.customers, 0) / nullif(sum(summed.customers) over tenant, 0)
    )::numeric(20, 6) as share_of_customers,
    coalesce(summed.orders, 0)::bigint as orders,
    coalesce(summed.net_sales, 0)::numeric(20, 4) as net_sales,
    {{ fraction("coalesce(summed.net_sales, 0)", "sum(summed.net_sales) over tenant") }}
    as share_of_net_sales,
    (summed.ordered_sales / nullif(summed.priced_orders, 0))::numeric(
        20, 4
    ) as average_order_value,
    summed.average_recency_days::numeric(20, 4) as average_recency_days,
    coalesce(tenants.rfm_is_meaningful, false) as rfm_is_meaningful
from {{ ref("int_tenant_figures") }} tenants
cross join segments
left join
    summed
    on summed.tenant_id = tenants.tenant_id
    and summed.rfm_segment = segments.rfm_segment
window tenant as (partition by tenants.tenant_id)
