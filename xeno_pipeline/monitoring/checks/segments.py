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

SEGMENT_COUNTS = Check(
    "segments_match_shopify",
    "Segments of Shopify's attributes have as many members as Shopify counts for the same query, within two percent.",
    ["marts.segment_members"],
    """
    select 'marts.segment_members' as subject, tenant_id, min(compared_at) as since,
        count(*) || ' segment(s) have other members than at Shopify, for example number ' || min(segment_id) || ' with '
            || (array_agg(members_in_marts order by segment_id))[1] || ' instead of '
            || (array_agg(members_at_shopify order by segment_id))[1] as message,
        'xeno reconcile ' || tenant_id as command
    from ops.segments
    join ops.tenants using (tenant_id)
    where tenants.status = 'active' and segments.removed_at is null
    and compared_at > now() - interval '3 days'
    and abs(members_in_marts - members_at_shopify) > 2 + 0.02 * members_at_shopify
    group by tenant_id
    """,
    is_error=False,  # Shopify counts what changed since, and documents its attributes in a line each
)
