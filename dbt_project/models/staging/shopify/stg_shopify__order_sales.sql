select
    tenant_id,
    id as sale_id,
    agreement_id,
    line_item_id as order_line_id,
    action_type,
    line_type,
    quantity,
    total_amount::numeric(20, 4) as total_amount,
    discount_amount::numeric(20, 4) as discount_amount,
    tax_amount::numeric(20, 4) as tax_amount
from {{ source("shopify", "order_sales") }}
