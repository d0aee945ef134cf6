"""Checks of what is in raw: complete, fresh, and in the shape of its tables."""

from __future__ import annotations

from xeno_pipeline.extraction.streams import STREAM_NAMES, STREAMS
from xeno_pipeline.monitoring.checks.check import RELATION_OF_STREAM, Check, relation_of
from xeno_pipeline.raw.tables import RAW_TABLES

COUNTS = Check(
    "counts_match_shopify",
    "Raw holds as many objects of each tenant as Shopify counts, as of the last nightly reconciliation.",
    [relation_of(stream.name) for stream in STREAMS],
    f"""
    select {RELATION_OF_STREAM} as subject, tenant_id, coalesce(failing_since, started_at) as since,
        case
            when error is not null then 'the comparison with Shopify failed: ' || error
            when started_at < now() - interval '3 days'
                then 'the last comparison with Shopify was on ' || to_char(night::timestamp, 'YYYY-MM-DD')
            else 'Shopify has ' || at_shopify || ' ' || stream || ', raw has ' || in_raw
        end as message,
        'xeno reconcile ' || tenant_id as command
    from ops.reconciliations
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    and (
        error is not null
        or started_at < now() - interval '3 days'
        or at_shopify > in_raw
        or (at_shopify < in_raw and stream <> 'abandoned_checkouts')  -- Shopify deletes old ones, raw keeps them
    )
    """,
)

FRESHNESS = Check(
    "is_fresh",
    "Every active tenant was synced within the last three hours; a new store's history was loaded within a day.",
    [relation_of(name) for name in STREAM_NAMES],
    f"""
    with streams as (
        select tenant_id, stream, state.synced_at, state.history_loaded_at, connected_at
        from ops.tenants
        cross join unnest(%(streams)s::text[]) as stream
        left join ops.sync_state state using (tenant_id, stream)
        where status = 'active'
    )
    select {RELATION_OF_STREAM} as subject, tenant_id, coalesce(synced_at, connected_at) as since,
        case
            when synced_at is null then stream || ': the history is not loaded yet'
            else stream || ': last synced at ' || to_char(synced_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
        end as message,
        'xeno sync ' || tenant_id as command
    from streams
    where coalesce(synced_at, history_loaded_at, connected_at + interval '21 hours') < now() - interval '3 hours'
    """,
)

SET_ASIDE = Check(
    "records_fit_schema",
    "Every object that Shopify returned fits its table; one that does not is set aside until it does.",
    [f"raw.{table.name}" for table in RAW_TABLES if table.parent is None],
    """
    select 'raw.' || object as subject, tenant_id, min(first_seen_at) as since,
        sum(records) || ' ' || object || ' do not fit their table and are set aside, for example '
            || (array_agg(coalesce(nullif(gid, ''), 'one without an id') || ': ' || reason
                order by first_seen_at, gid))[1] as message,
        'xeno tenant show ' || tenant_id as command
    from ops.set_aside
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    group by object, tenant_id
    """,
)

QUEUED_SYNCS = Check(
    "requested_syncs_begin",
    "No requested sync has waited for more than fifteen minutes for a run to begin it.",
    ["shopify.shop"],
    """
    select 'shopify.shop' as subject, tenant_id, min(requested_at) as since,
        'a requested sync has waited for a run for over fifteen minutes: number ' || min(sync_id) as message,
        'xeno sync ' || tenant_id as command
    from ops.syncs
    join ops.tenants using (tenant_id)
    where tenants.status = 'active' and syncs.kind <> 'run' and syncs.state = 'queued'
    and greatest(syncs.requested_at, syncs.due_at) < now() - interval '15 minutes'
    group by tenant_id
    """,
)
"""The sensor takes seconds, so it is off, or other runs of the lane or of the store take long."""
