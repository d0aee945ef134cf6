select
    tenant_id,
    id as customer_id,
    email,
    phone,
    first_name,
    last_name,
    country_code,
    locale,
    state,
    tags,
    number_of_orders,
    rfm_group as shopify_rfm_group,
    payload #>> '{defaultEmailAddress,marketingState}' as email_subscription_status,
    created_at,
    updated_at,
    deleted_at
from {{ source("shopify", "customers") }}
