"""The asset checks of every layer, and what evaluates them: one step for all of them, a query for each.

They are not partitioned: each is about all active tenants at once, and names those that it fails for. There is no
freshness policy besides them, since one tenant's materialisation would make the asset fresh for all.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of checks at run time.

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg
import orjson

from xeno_pipeline.defs.concurrency import ROUTINE, UNFINISHED
from xeno_pipeline.defs.jobs.names import CHECKS_JOB, DBT_TESTS_JOB
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.marts.test_results import run_tests
from xeno_pipeline.monitoring.checks import ASSET_CHECKS, DBT_TESTS, Check, Finding, evaluate

_ROWS_SHOWN = 100
_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("tenant", "string", description="Whose; empty where it is not one tenant's."),
        dg.TableColumn("what", "string"),
        dg.TableColumn("since", "string"),
        dg.TableColumn("command", "string", description="What to try."),
    ]
)


def asset_checks(models: dg.AssetsDefinition, manifest: Path) -> dg.AssetChecksDefinition:
    """All checks of monitoring, each on the assets that it can find something about.

    Args:
        models: the dbt models.
        manifest: the manifest.json that they are made from.
    """
    tested = sorted(_tested_models(models, manifest))
    checks: dict[dg.AssetCheckKey, tuple[Check, str]] = {}
    for check in ASSET_CHECKS:
        for asset in tested if check is DBT_TESTS else [dg.AssetKey(name.split(".")) for name in check.subjects]:
            subject = asset.path[-1] if check is DBT_TESTS else ".".join(asset.path)
            checks[dg.AssetCheckKey(asset, check.name)] = (check, subject)

    @dg.multi_asset_check(
        name="monitoring",
        specs=[
            dg.AssetCheckSpec(key.name, asset=key.asset_key, description=check.description)
            for key, (check, _) in checks.items()
        ],
        can_subset=True,
    )
    def monitoring(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> Iterator[dg.AssetCheckResult]:
        opened = pipeline.open()
        selected = {key: checks[key] for key in checks if key in context.selected_asset_check_keys}
        asked = [check for check in ASSET_CHECKS if any(check is each for each, _ in selected.values())]
        with opened.database.connect() as connection:
            found = {check.name: evaluate(connection, opened.settings, check) for check in asked}
        for key, (check, subject) in selected.items():
            of_subject = [each for each in found[check.name] if each.subject == subject or not each.is_evaluated]
            yield _result(key, check, of_subject)

    return monitoring


def checks_schedule(checks: dg.AssetChecksDefinition) -> dg.ScheduleDefinition:
    """Evaluates the checks every quarter of an hour."""

    @dg.schedule(
        name="asset_checks",
        job=dg.define_asset_job(
            CHECKS_JOB,
            selection=dg.AssetSelection.checks(checks),
            tags=ROUTINE,
            description="Evaluate the checks of all layers, for all active tenants.",
        ),
        cron_schedule="11,26,41,56 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Evaluates the checks of all layers, for all active tenants in one step.",
    )
    def every_quarter_of_an_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        under_way = context.instance.get_runs(dg.RunsFilter(job_name=CHECKS_JOB, statuses=UNFINISHED), limit=1)
        return dg.SkipReason("The checks are being evaluated.") if under_way else dg.RunRequest()

    return every_quarter_of_an_hour


@dg.op(description="Run the dbt tests on the marts as they are.")
def run_dbt_tests(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Run the tests, and keep their results for the check, which tells of those that fail."""
    opened = pipeline.open()
    tests, failed = run_tests(opened.database, opened.dbt_project)
    for test in failed:
        for tenant_id, message in test.tenants.items():
            context.log.warning(f"{tenant_id or 'every tenant'}: the dbt test {test.name} did not pass: {message}")
    context.log.info(f"{len(tests)} dbt tests ran; {', '.join(test.name for test in failed) or 'none'} failed.")


@dg.job(
    name=DBT_TESTS_JOB,
    executor_def=dg.in_process_executor,
    tags=ROUTINE,
    description="Run the dbt tests on the rows of all tenants; the asset checks tell what they found.",
)
def dbt_tests_job() -> None:
    """One op."""
    run_dbt_tests()


def dbt_tests_schedule() -> dg.ScheduleDefinition:
    """Runs the dbt tests every day."""
    return dg.ScheduleDefinition(
        name="daily_dbt_tests",
        job=dbt_tests_job,
        cron_schedule="51 4 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs the dbt tests on the rows of all tenants.",
    )


def _result(key: dg.AssetCheckKey, check: Check, found: Sequence[Finding]) -> dg.AssetCheckResult:
    tenants = sorted({finding.tenant_id for finding in found if finding.tenant_id is not None})
    rows = [
        dg.TableRecord(
            {
                "tenant": finding.tenant_id or "",
                "what": finding.message,
                "since": f"{finding.since:%Y-%m-%d %H:%M %Z}" if finding.since else "",
                "command": finding.command,
            }
        )
        for finding in found[:_ROWS_SHOWN]
    ]
    is_error = any(finding.is_error for finding in found) if found else check.is_error
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=_summary(found),
        metadata={"tenants": tenants, "failing": dg.MetadataValue.table(rows, schema=_SCHEMA)} if found else {},
    )


def _summary(found: Sequence[Finding]) -> str:
    if not found:
        return "No active tenant has a problem."
    first = f"{found[0].tenant_id}: {found[0].message}" if found[0].tenant_id else found[0].message
    return first if len(found) == 1 else f"{first} (and {len(found) - 1:,} more)"


def _tested_models(models: dg.AssetsDefinition, manifest: Path) -> set[dg.AssetKey]:
    """The models that some dbt test is about."""
    keys: Mapping[str, dg.AssetKey] = {key.path[-1]: key for key in models.keys}
    nodes = orjson.loads(manifest.read_bytes())["nodes"].values()
    tested = {
        unique_id.split(".")[2]
        for node in nodes
        if node["resource_type"] == "test"
        for unique_id in node["depends_on"]["nodes"]
    }
    return {keys[name] for name in tested if name in keys}
