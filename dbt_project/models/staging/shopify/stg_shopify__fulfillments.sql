select
    tenant_id,
    id as fulfillment_id,
    order_id,
    status,
    display_status,
    total_quantity,
    created_at,
    updated_at,
    delivered_at
from {{ source("shopify", "fulfillments") }}
