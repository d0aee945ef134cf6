with
    steps as (
        select
            tenant_id,
            customer_id,
            valid_from,
            lag(rfm_segment) over customers_history as from_segment,
            lag(valid_to) over customers_history as left_on,
            rfm_segment as to_segment
        from {{ ref("rfm_history") }}
        window
            customers_history as (
                partition by tenant_id, customer_id order by valid_from
            )
    )

select
    tenant_id,
    date_trunc('month', valid_from::timestamp)::date as month,
    from_segment,
    to_segment,
    count(distinct customer_id) as customers
from steps
where from_segment <> to_segment and left_on = valid_from
group by tenant_id, month, from_segment, to_segment
