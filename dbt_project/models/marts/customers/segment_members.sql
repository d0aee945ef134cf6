select
    tenant_id,
    segment_id,
    customer_id,
    history.valid_from as joined_on,
    history.net_sales as net_sales_when_joined,
    history.orders_count as orders_when_joined,
    history.rfm_segment as rfm_segment_when_joined
from {{ ref("segment_history") }} history
join {{ ref("int_segments") }} segments using (tenant_id, segment_id)
where history.valid_to is null
