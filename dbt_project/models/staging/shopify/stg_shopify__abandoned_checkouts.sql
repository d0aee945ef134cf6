select
    tenant_id,
    id as checkout_id,
    name as checkout_name,
    customer_id,
    token as checkout_token,
    discount_codes,
    total_price::numeric(20, 4) as total_price,
    created_at,
    completed_at,
    updated_at,
    deleted_at,
    loaded_at,
    payload #>> '{totalPriceSet,shopMoney,currencyCode}' as currency
from {{ source("shopify", "abandoned_checkouts") }}
