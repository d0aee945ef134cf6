select tenant_id, shop_domain, name as shop_name, currency, iana_timezone, status, plan
from {{ source("ops", "tenants") }}
where status <> 'removed'
