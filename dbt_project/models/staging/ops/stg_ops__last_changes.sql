select tenant_id, object, changed_at from {{ source("ops", "last_changes") }}
