"""Checks of whether the marts are built, and whether their dbt tests passed."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

MARTS = Check(
    "marts_up_to_date",
    "Every active tenant's marts are as of the current day in the shop's time zone.",
    ["marts.tenant_overview"],
    """
    select 'marts.tenant_overview' as subject, tenant_id, transformed_at as since,
        coalesce('the marts are as of ' || to_char(as_of_date::timestamp, 'YYYY-MM-DD'), 'the marts are not built yet')
            as message,
        'xeno transform ' || tenant_id as command
    from ops.tenants
    left join ops.tenant_marts using (tenant_id)
    cross join lateral (select ops.local_time(now() - interval '2 hours', tenants.iana_timezone) as local_time) as clock
    where status = 'active'
    and coalesce(as_of_date < local_time::date, true)
    and exists (
        select from ops.sync_state state
        where state.tenant_id = tenants.tenant_id and state.history_loaded_at < now() - interval '2 hours'
    )
    """,
)

DBT_TESTS = Check(
    "dbt_tests_pass",
    "The dbt tests of this model passed when they last ran, over all tenants.",
    [],
    """
    select model as subject, nullif(failures.tenant_id, '') as tenant_id, failures.failing_since as since,
        'the dbt test ' || test || ' failed: ' || failures.message as message,
        concat_ws(' ', 'xeno transform', nullif(failures.tenant_id, ''), '--test') as command
    from ops.dbt_test_failures failures
    join ops.dbt_tests using (test)
    cross join unnest(models) as model
    left join ops.tenants using (tenant_id)
    where failures.tenant_id = '' or tenants.status = 'active'
    """,
)
