"""Checks of webhooks: subscribed to, processed on time, and none given up."""

from __future__ import annotations

from xeno_pipeline.extraction.streams import CARTS, STREAM_NAMES
from xeno_pipeline.monitoring.checks.check import RELATION_OF_STREAM, Check, relation_of

_WEBHOOK_RELATIONS = [*(relation_of(name) for name in STREAM_NAMES), relation_of(CARTS)]

SUBSCRIPTIONS = Check(
    "webhooks_subscribed",
    "Every active store is subscribed to all webhook topics, as of the last hourly comparison.",
    [relation_of(CARTS)],
    """
    select 'raw.carts' as subject, tenant_id, null::timestamptz as since,
        coalesce(
            error,
            'it is not subscribed to ' || array_to_string(nullif(missing, '{}'), ', '),
            'its webhook subscriptions were never compared'
        ) as message,
        'xeno webhooks register ' || tenant_id as command
    from ops.tenants
    left join ops.webhook_subscriptions using (tenant_id)
    where status = 'active' and %(has_public_url)s
    -- A new store is subscribed within a minute, or by the next hourly comparison.
    and (error is not null or missing <> '{}' or (compared_at is null and connected_at < now() - interval '1 hour'))
    """,
)
"""An error: carts come by webhook alone, and all other changes late."""

PROCESSING = Check(
    "webhooks_processed_on_time",
    "No webhook has been waiting for more than ten minutes to reach the marts.",
    _WEBHOOK_RELATIONS,
    f"""
    select {RELATION_OF_STREAM} as subject, tenant_id, min(received_at) as since,
        stream || ': ' || count(*) || ' webhook(s) waiting over ten minutes' || coalesce(': ' || max(error), '')
            as message,
        'xeno sync ' || tenant_id as command
    from ops.webhook_inbox inbox
    join ops.tenants using (tenant_id)
    where in_marts_at is null and dead_at is null and tenants.status = 'active'
    and received_at < now() - interval '10 minutes'
    and absence is null  -- what Shopify does not show cannot be in the marts
    -- Until the history is loaded webhooks wait on purpose; `is_fresh` covers that.
    and exists (
        select from ops.sync_state state where state.tenant_id = inbox.tenant_id and history_loaded_at is not null
    )
    group by stream, tenant_id
    """,
)

DEAD_LETTERS = Check(
    "no_dead_letters",
    "No webhook was given up after all retries without being replayed since.",
    _WEBHOOK_RELATIONS,
    f"""
    select {RELATION_OF_STREAM} as subject, tenant_id, min(dead_at) as since,
        stream || ': ' || count(*) || ' webhook(s) given up after all retries' || coalesce(': ' || max(error), '')
            as message,
        'xeno webhooks replay' as command
    from ops.webhook_inbox
    join ops.tenants using (tenant_id)
    where dead_at is not null and tenants.status = 'active'
    group by stream, tenant_id
    """,
)
