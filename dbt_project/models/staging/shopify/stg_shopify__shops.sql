select
    tenant_id,
    id as shop_id,
    name as shop_name,
    myshopify_domain,
    currency,
    iana_timezone,
    plan,
    access_scopes,
    created_at,
    updated_at
from {{ source("shopify", "shops") }}
