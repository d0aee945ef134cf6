select
    tenant_id,
    id as checkout_line_id,
    checkout_id,
    product_id,
    variant_id,
    sku,
    title,
    quantity,
    total_price::numeric(20, 4) as total_price
from {{ source("shopify", "abandoned_checkout_line_items") }}
