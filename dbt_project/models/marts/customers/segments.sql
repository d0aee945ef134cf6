with
    customers as (
        select tenant_id, count(*) as customers, sum(net_sales) as net_sales
        from {{ ref("int_customers") }}
        where has_profile
        group by tenant_id
    ),

    members as (
        select
            tenant_id,
            segment_id,
            count(*) filter (where history.valid_to is null) as customers,
            sum(customers.net_sales) filter (
                where history.valid_to is null
            ) as net_sales,
            count(*) filter (
                where history.valid_from > figures.as_of_date - 30
            ) as joined_30d,
            count(*) filter (
                where history.valid_to > figures.as_of_date - 30
            ) as left_30d
        from {{ ref("segment_history") }} history
        join {{ ref("int_tenant_figures") }} figures using (tenant_id)
        left join {{ ref("int_customers") }} customers using (tenant_id, customer_id)
        group by tenant_id, segment_id
    )

select
    tenant_id,
    segment_id,
    segments.segment_name as name,
    segments.query,
    coalesce(members.customers, 0) as customers,
    coalesce(
        {{ fraction("members.customers::numeric", "customers.customers") }}, 0
    ) as share_of_customers,
    coalesce(members.net_sales, 0)::numeric(20, 4) as net_sales,
    {{ fraction("coalesce(members.net_sales, 0)", "customers.net_sales") }}
    as share_of_net_sales,
    coalesce(members.joined_30d, 0) as joined_30d,
    coalesce(members.left_30d, 0) as left_30d
from {{ ref("int_segments") }} segments
left join members using (tenant_id, segment_id)
left join customers using (tenant_id)
