-- The ledger, the orders, the days and the customers' months tell of the same sales.
with
    sums as (
        select
            tenant_id,
            'ledger' as mart,
            sum(net_sales) as net,
            sum(total_sales) as total
        from {{ ref("fct_sales") }}
        group by tenant_id
        union all
        select tenant_id, 'orders', sum(net_sales), sum(total_sales)
        from {{ ref("fct_orders") }}
        group by tenant_id
        union all
        select tenant_id, 'days', sum(net_sales), sum(total_sales)
        from {{ ref("revenue_daily") }}
        group by tenant_id
        union all
        select tenant_id, grain, sum(net_sales), sum(total_sales)
        from {{ ref("revenue_trends") }}
        group by tenant_id, grain
    )

select tenant_id
from sums
group by tenant_id
having count(distinct(net, total)) > 1
