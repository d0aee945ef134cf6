"""Checks of runs: with which tenants the last ones failed."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

_FAILED_RUNS = """
    select 'shopify.shop' as subject, tenant_id, min(failing_since) as since,
        string_agg(
            'the last run of ' || case when job = '__ASSET_JOB' then 'a backfill' else job end || ' failed: ' || reason,
            '; ' order by job
        ) as message,
        'xeno sync ' || tenant_id as command
    from ops.run_failures
    join ops.tenants using (tenant_id)
    where status = 'active'
    """

RUNS = Check(
    "runs_succeed_for_every_tenant",
    "The last run of each job succeeded for every active tenant that it was about.",
    ["shopify.shop"],
    f"{_FAILED_RUNS} group by tenant_id",
)

RETRIED_RUNS = Check(
    "retried_runs_succeed",
    "No tenant has failed in every run of the jobs `events` and `privacy` for ten minutes.",
    ["shopify.shop"],
    f"""
    {_FAILED_RUNS} and job in ('events', 'privacy') and failing_since < now() - interval '10 minutes'
    group by tenant_id
    """,
)
"""These jobs retry within seconds, so a single failed run is no reason for an alert."""
