"""The check of privacy requests and their legal deadline."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

PRIVACY = Check(
    "privacy_deadlines_met",
    "No open privacy request is within a week of its deadline, 30 days after it was received; an error once overdue.",
    ["raw.customers"],
    """
    select 'raw.customers' as subject, tenant_id, min(received_at) as since,
        'privacy request ' || (array_agg(id order by deadline_at, id))[1] || ' is open and due on '
            || to_char(min(deadline_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
            || case when count(*) > 1 then ', and ' || count(*) - 1 || ' more are due within a week' else '' end
            || coalesce(': ' || (array_agg(error order by deadline_at, id))[1], '') as message,
        'xeno privacy run' as command,
        min(deadline_at) < now() as is_error
    from ops.privacy_requests
    where done_at is null and deadline_at < now() + interval '7 days'
    group by tenant_id
    """,
)
"""Suspended tenants are included: the law does not exempt their requests."""
