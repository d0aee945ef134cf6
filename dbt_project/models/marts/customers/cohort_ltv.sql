select
    tenant_id,
    cohort_month,
    count(*) as customers,
    sum(net_sales)::numeric(20, 4) as net_sales,
    avg(net_sales)::numeric(20, 4) as average_ltv,
    avg(orders_count)::numeric(20, 4) as average_orders,
    (percentile_cont(0.9) within group (order by net_sales))::numeric(20, 4) as p90_ltv
from {{ ref("int_customers") }}
where cohort_month is not null
group by tenant_id, cohort_month
