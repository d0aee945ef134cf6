"""Checks of saved segments."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

SEGMENTS = Check(
    "segments_evaluated",
    "The members of every saved segment could be determined in the last transform.",
    ["marts.segment_history"],
    """
    select 'marts.segment_history' as subject, tenant_id, min(changed_at) as since,
        count(*) || ' segment(s) keep the members that they had, for example number ' || min(segment_id) || ': '
            || (array_agg(problem order by segment_id))[1] as message,
        'xeno segment list ' || tenant_id as command
    from ops.segments
    join ops.tenants using (tenant_id)
    where tenants.status = 'active' and segments.removed_at is null and segments.problem is not null
    group by tenant_id
    """,
)
