select tenant_id, stream, cursor_at, history_loaded_at, history_since, synced_at
from {{ source("ops", "sync_state") }}
