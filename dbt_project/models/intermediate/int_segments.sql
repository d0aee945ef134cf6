{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "segment_id"],
        meta={"stale": "segments"},
    )
}}

select tenant_id, segment_id, segment_name, query
from {{ ref("stg_ops__segments") }}
join {{ stale("segments") }} stale_segments using (tenant_id, segment_id)
