select
    tenant_id,
    id as cart_number,
    cart_id,
    created_at,
    payload -> 'line_items' as lines,
    updated_at,
    deleted_at,
    loaded_at
from {{ source("shopify", "carts") }}
