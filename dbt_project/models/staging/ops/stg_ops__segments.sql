select tenant_id, segment_id, name as segment_name, query
from {{ source("ops", "segments") }}
where removed_at is null
