"""The asset checks: those of `monitoring.checks`, evaluated in one step with one query each.

They are not partitioned: each covers all active tenants, and names those it fails for (docs/contribute/dagster.md says
why). Nor is there a freshness policy, since one tenant's materialization would make the asset fresh for all.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of checks at run time.

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg
import orjson

from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.monitoring.checks import ASSET_CHECKS, DBT_TESTS, Check, Finding, evaluate

_ROWS_SHOWN = 100
_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("tenant", "string", description="Empty where the finding is not about one tenant."),
        dg.TableColumn("finding", "string"),
        dg.TableColumn("since", "string"),
        dg.TableColumn("command", "string", description="The command to try."),
    ]
)


def asset_checks(models: dg.AssetsDefinition, manifest: Path) -> dg.AssetChecksDefinition:
    """All checks, each on the assets that it can find something about.

    Args:
        models: the dbt models.
        manifest: the manifest.json of their project.
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
        needed = [check for check in ASSET_CHECKS if any(check is each for each, _ in selected.values())]
        with opened.database.connect() as connection:
            found = {check.name: evaluate(connection, opened.settings, check) for check in needed}
        for key, (check, subject) in selected.items():
            of_subject = [each for each in found[check.name] if each.subject == subject or not each.is_evaluated]
            yield _result(key, check, of_subject)

    return monitoring


def _result(key: dg.AssetCheckKey, check: Check, found: Sequence[Finding]) -> dg.AssetCheckResult:
    tenants = sorted({finding.tenant_id for finding in found if finding.tenant_id is not None})
    rows = [
        dg.TableRecord(
            {
                "tenant": finding.tenant_id or "",
                "finding": finding.message,
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
    """The models that a dbt test is about."""
    keys: Mapping[str, dg.AssetKey] = {key.path[-1]: key for key in models.keys}
    nodes = orjson.loads(manifest.read_bytes())["nodes"].values()
    tested = {
        unique_id.split(".")[2]
        for node in nodes
        if node["resource_type"] == "test"
        for unique_id in node["depends_on"]["nodes"]
    }
    return {keys[name] for name in tested if name in keys}
