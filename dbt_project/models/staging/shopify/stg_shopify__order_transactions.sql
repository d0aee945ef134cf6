select
    tenant_id,
    id as transaction_id,
    order_id,
    parent_transaction_id,
    kind,
    status,
    gateway,
    is_test,
    amount::numeric(20, 4) as amount,
    created_at,
    processed_at
from {{ source("shopify", "order_transactions") }}
