select tenant_id, id as agreement_id, order_id, reason, happened_at, refund_id
from {{ source("shopify", "order_agreements") }}
