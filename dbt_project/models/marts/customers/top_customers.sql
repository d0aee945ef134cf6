with
    ranked as (
        select
            tenant_id,
            row_number() over (
                partition by tenant_id order by net_sales desc, customer_id
            ) as rank,
            customer_id,
            email,
            orders_count,
            net_sales,
            last_order_on
        from {{ ref("int_customers") }}
        where orders_count > 0
    )

select *
from ranked
where rank <= 100
