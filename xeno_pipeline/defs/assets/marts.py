"""The dbt models as assets, partitioned by tenant: staging, intermediate and marts."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from pydantic import Field

from xeno_pipeline.defs.assets.previews import pictures, with_pictures
from xeno_pipeline.defs.concurrency import BACKFILL_JOB, BACKFILL_POOL, lower_cpu_priority
from xeno_pipeline.defs.materializations import Metadata, record
from xeno_pipeline.defs.partitions import TENANTS
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_failures import (
    asked_partitions,
    finish_run,
    forgive_skipped,
    select_tenants,
    transform_failures,
)
from xeno_pipeline.errors import UsageError
from xeno_pipeline.marts.dbt import NodeResult
from xeno_pipeline.marts.transform import TransformReport, TransformRequest, transform

TENANTS_A_RUN = 50
"""How many tenants a backfill's run transforms: one dbt invocation costs the same for all of them.

It differs from the raw assets' on purpose: Dagster then backfills raw and marts in runs of their own, and a tenant
whose extraction fails keeps no other tenant's marts waiting.
"""


class TransformConfig(dg.Config):
    """How to transform the tenants of a run."""

    as_of: str | None = Field(
        default=None, description='What "today" is, as 2026-06-30; by default today in each shop\'s time zone.'
    )
    rebuild: bool = Field(default=False, description="Make all marts of the tenants anew, whatever changed.")


class _Translator(DagsterDbtTranslator):
    def __init__(self) -> None:
        # A dbt test's result says nothing of which tenant it is about; checks by tenant are assets' own.
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=False))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A relation by its schema: dbt's source `shopify` is the schema raw."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)  # a source is none
        is_view = node is not None and node["config"]["materialized"] == "view"
        kinds = {"dbt", "postgres", "view" if is_view else "table"}
        return spec.replace_attributes(group_name=spec.key.path[0], kinds=kinds, owners=["team:data"])


def marts_assets(manifest: Path) -> dg.AssetsDefinition:
    """The models of a parsed dbt project as assets.

    Args:
        manifest: its manifest.json.
    """

    @dbt_assets(
        manifest=manifest,
        name="transform",
        select="resource_type:model",
        partitions_def=TENANTS,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_A_RUN),
        pool=BACKFILL_POOL,
        dagster_dbt_translator=_Translator(),
    )
    def models(
        context: dg.AssetExecutionContext, config: TransformConfig, pipeline: PipelineResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        lower_cpu_priority(context.run.tags)
        opened = pipeline.open()
        selected = context.selected_asset_keys
        every = selected == context.assets_def.keys
        asked = asked_partitions(context)
        tenant_ids = [tenant.tenant_id for tenant in select_tenants(context.log, opened.database, asked)]
        request = TransformRequest(
            tenant_ids=tenant_ids,
            as_of=as_date(config.as_of),
            models=() if every else sorted(key.path[-1] for key in selected),
            only_due=False,
            rebuild=config.rebuild,
            with_views=True,
        )
        report = transform(opened.database, opened.dbt_project, request)
        forgive_skipped(context.log, opened.database, report)
        failures = transform_failures(report)
        drawn = pictures(opened.database, product(selected, report.tenant_ids), failures)
        if set(report.tenant_ids) != set(asked):  # what all partitions of the run have in common would be a lie
            record(context, with_pictures(mart_materializations(report, models), drawn, failures), failures)
            finish_run(context, opened.database, BACKFILL_JOB, tenant_ids, failures)
            return
        for (key, tenant_id), metadata in drawn.items():
            with failures.guard(tenant_id, f"the metadata of {key.to_user_string()}"):
                context.add_asset_metadata(metadata, key, tenant_id)
        by_name = {key.path[-1]: key for key in selected}
        # In the order in which dbt made them: Dagster wants each after those it is made from.
        for name, metadata in {node.name: node_metadata(node) for _, node in report.nodes}.items():
            if name in by_name:
                yield dg.MaterializeResult(asset_key=by_name[name], metadata=metadata)
        finish_run(context, opened.database, BACKFILL_JOB, asked, failures)

    return models


def mart_materializations(
    report: TransformReport, models: dg.AssetsDefinition, *, only_changed: bool = False
) -> Iterator[dg.AssetMaterialization]:
    """A materialisation for each model and tenant whose marts were made.

    Args:
        report: of a transform.
        models: the dbt models.
        only_changed: leave out models that wrote no row, but for tenants whose marts are new: they now have all of
            them; or of whom it is not known which. A view follows the tables that it is made from.
    """
    whole = report.new_tenant_ids | report.retried_tenant_ids
    keys = {key.path[-1]: key for key in models.keys}
    nodes = [(tenant_ids, node) for tenant_ids, node in report.nodes if node.name in keys]
    for tenant_ids, node in nodes:
        for tenant_id in tenant_ids:
            if node.rows or tenant_id in whole or not only_changed:
                yield dg.AssetMaterialization(keys[node.name], partition=tenant_id, metadata=node_metadata(node))
    written: dict[dg.AssetKey, set[str]] = {}
    for tenant_ids, node in nodes:  # one transform may have been several runs of dbt
        if node.rows:
            written.setdefault(keys[node.name], set()).update(tenant_ids)
    untouched = models.keys - {keys[node.name] for _, node in nodes}
    for key in sorted(untouched):
        changed = _tenants_of(key, models, written) if key.path[0] == "marts" else set()
        for tenant_id in sorted(changed | whole):
            yield dg.AssetMaterialization(key, partition=tenant_id)


def _tenants_of(key: dg.AssetKey, models: dg.AssetsDefinition, written: Mapping[dg.AssetKey, set[str]]) -> set[str]:
    """The tenants for whom an asset, or what a view is made from, was written."""
    if key in written or key not in models.keys:
        return written.get(key, set())
    return set().union(*(_tenants_of(upstream, models, written) for upstream in models.asset_deps[key]))


def node_metadata(node: NodeResult) -> Metadata:
    """What a data engineer wants to know of the build of one model."""
    return {"rows_written": node.rows or 0, "seconds": round(node.seconds, 2), "dbt_message": node.message}


def as_date(text: str | None) -> date | None:
    """The date that a person wrote.

    Raises:
        UsageError: it is none.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is no date: write it as 2026-06-30.") from None
