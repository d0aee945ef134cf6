select
    tenant_id,
    id as variant_id,
    product_id,
    title,
    sku,
    barcode,
    position,
    price::numeric(20, 4) as price,
    compare_at_price::numeric(20, 4) as compare_at_price,
    created_at,
    updated_at
from {{ source("shopify", "product_variants") }}
