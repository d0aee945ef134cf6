select
    tenant_id,
    id as product_id,
    title,
    handle,
    vendor,
    product_type,
    status,
    tags,
    created_at,
    published_at,
    updated_at,
    deleted_at
from {{ source("shopify", "products") }}
