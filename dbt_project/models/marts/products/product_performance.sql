select
    tenant_id,
    product_id,
    month,
    sum(units)::bigint as units,
    sum(orders)::bigint as orders,
    sum(gross_sales)::numeric(20, 4) as gross_sales,
    sum(discounts)::numeric(20, 4) as discounts,
    sum(returns)::numeric(20, 4) as returns,
    sum(net_sales)::numeric(20, 4) as net_sales,
    sum(taxes)::numeric(20, 4) as taxes,
    (sum(net_sales) + sum(taxes))::numeric(20, 4) as total_sales,
    row_number() over (
        partition by tenant_id, month order by sum(net_sales) desc, product_id
    ) as rank_by_net_sales
from {{ ref("int_product_months") }}
group by tenant_id, product_id, month
