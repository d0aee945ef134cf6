select
    tenant_id,
    id as refund_id,
    order_id,
    created_at,
    processed_at,
    total_refunded::numeric(20, 4) as total_refunded
from {{ source("shopify", "refunds") }}
