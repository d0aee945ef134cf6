select
    tenant_id,
    id as order_line_id,
    order_id,
    product_id,
    variant_id,
    sku,
    title,
    quantity,
    current_quantity,
    unit_price::numeric(20, 4) as unit_price,
    is_gift_card
from {{ source("shopify", "order_line_items") }}
