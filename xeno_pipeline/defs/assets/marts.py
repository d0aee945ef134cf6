"""The dbt models as assets, partitioned by tenant: staging, intermediate and marts."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from xeno_pipeline.defs.assets.columns import ModelColumns
from xeno_pipeline.defs.assets.predictions import PREDICTION_KEYS, prediction_materializations
from xeno_pipeline.defs.assets.previews import add_previews, draw_previews
from xeno_pipeline.defs.code_references import references, to_file
from xeno_pipeline.defs.concurrency import BACKFILL_POOL, lower_cpu_priority
from xeno_pipeline.defs.config import TransformConfig, parse_date
from xeno_pipeline.defs.dagster_internals import ASSET_JOB
from xeno_pipeline.defs.failures import finish_run, transform_failures
from xeno_pipeline.defs.materializations import Metadata, record_materializations
from xeno_pipeline.defs.partitions import TENANTS, TENANTS_TRANSFORMED_A_RUN
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_selection import drop_skipped, requested_partitions, select_tenants
from xeno_pipeline.marts.dbt import DBT_PROJECT_DIR, NodeResult
from xeno_pipeline.marts.lineage import Lineage
from xeno_pipeline.marts.transform import TransformReport, TransformRequest, transform


class _Translator(DagsterDbtTranslator):
    def __init__(self, lineage: Lineage) -> None:
        self._columns = ModelColumns(lineage)
        self._specs: dict[str, dg.AssetSpec] = {}
        # A dbt test's result does not say which tenant it is about; the asset checks do.
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=False))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A relation by its schema: dbt's source `shopify` is the schema raw."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The asset of a model. dagster-dbt asks for each several times."""
        if unique_id not in self._specs:
            self._specs[unique_id] = self._build_spec(manifest, unique_id, project)
        return self._specs[unique_id]

    def _build_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None:  # a source
            return spec
        relation = "view" if node["config"]["materialized"] == "view" else "table"
        source = references(to_file(DBT_PROJECT_DIR / node["original_file_path"]))
        spec = spec.replace_attributes(
            group_name=spec.key.path[0],
            kinds={"dbt", "postgres", relation},
            metadata={**spec.metadata, **source},
        )
        return self._columns.describe(spec, node)


def marts_assets(manifest: Path, lineage: Lineage) -> dg.AssetsDefinition:
    """The models of a parsed dbt project as assets.

    Args:
        manifest: its manifest.json.
        lineage: the columns that the models' columns are computed from.
    """

    @dbt_assets(
        manifest=manifest,
        name="transform",
        select="resource_type:model",
        partitions_def=TENANTS,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_TRANSFORMED_A_RUN),
        pool=BACKFILL_POOL,
        dagster_dbt_translator=_Translator(lineage),
    )
    def models(
        context: dg.AssetExecutionContext, config: TransformConfig, pipeline: PipelineResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        lower_cpu_priority(context.run.tags)
        yield from _build_models(context, config, pipeline, models)

    return models


def _build_models(
    context: dg.AssetExecutionContext,
    config: TransformConfig,
    pipeline: PipelineResource,
    models: dg.AssetsDefinition,
) -> Iterator[dg.MaterializeResult[None]]:
    """Build the models for the run's tenants, and record the selected ones.

    All models are built whatever is selected, since a mart is right only if the models upstream of it are.
    If a tenant fails or is skipped, the materializations of the others are recorded one by one, since Dagster would
    record a result for every partition of the run; then the step fails and names the tenants that failed.
    """
    opened = pipeline.open()
    selected, requested = context.selected_asset_keys, requested_partitions(context)
    tenant_ids = [tenant.tenant_id for tenant in select_tenants(context.log, opened.database, requested)]
    request = TransformRequest(
        tenant_ids=tenant_ids,
        as_of=parse_date(config.as_of),
        only_due=False,
        rebuild=config.rebuild,
        with_views=True,
    )
    report = transform(opened.database, opened.dbt_project, request)
    drop_skipped(context.log, opened.database, report)
    failures = transform_failures(report)
    previews = draw_previews(opened.database, product(selected, report.tenant_ids), failures)
    if set(report.tenant_ids) != set(requested):
        events = add_previews(mart_materializations(report, models), previews, failures)
        record_materializations(context, events, failures)
        finish_run(context, opened.database, ASSET_JOB, tenant_ids, failures)
        return
    for (key, tenant_id), metadata in previews.items():
        with failures.guard(tenant_id, f"the metadata of {key.to_user_string()}"):
            context.add_asset_metadata(metadata, key, tenant_id)
    by_name = {key.path[-1]: key for key in selected}
    # In the order in which dbt built them: Dagster expects each after those upstream of it.
    for name, metadata in {node.name: node_metadata(node) for _, node in report.nodes}.items():
        if name in by_name:
            yield dg.MaterializeResult(asset_key=by_name[name], metadata=metadata)
    finish_run(context, opened.database, ASSET_JOB, requested, failures)


def mart_materializations(
    report: TransformReport, models: dg.AssetsDefinition, *, only_changed: bool = False
) -> Iterator[dg.AssetMaterialization]:
    """A materialization for each model and tenant whose marts were built, and for the tables of new predictions.

    Args:
        report: of a transform.
        models: the dbt models.
        only_changed: leave out models that wrote no row, except for tenants whose marts are new or were retried, and
            views that do not depend on a model that wrote one.
    """
    all_of = report.new_tenant_ids | report.retried_tenant_ids
    keys = {key.path[-1]: key for key in models.keys}
    nodes = [(tenant_ids, node) for tenant_ids, node in report.nodes if node.name in keys]
    for tenant_ids, node in nodes:
        for tenant_id in tenant_ids:
            if node.rows or tenant_id in all_of or not only_changed:
                yield dg.AssetMaterialization(keys[node.name], partition=tenant_id, metadata=node_metadata(node))
    yield from prediction_materializations(report.refitted_tenant_ids)
    written: dict[dg.AssetKey, set[str]] = {key: set(report.refitted_tenant_ids) for key in PREDICTION_KEYS.values()}
    for tenant_ids, node in nodes:  # a transform may consist of several dbt runs
        if node.rows:
            written.setdefault(keys[node.name], set()).update(tenant_ids)
    views = models.keys - {keys[node.name] for _, node in nodes}
    for key in sorted(views):
        changed = _tenants_written(key, models, written) if key.path[0] == "marts" else set()
        for tenant_id in sorted(changed | all_of):
            yield dg.AssetMaterialization(key, partition=tenant_id)


def _tenants_written(key: dg.AssetKey, models: dg.AssetsDefinition, written: dict[dg.AssetKey, set[str]]) -> set[str]:
    """The tenants for which a model, or one that a view reads, wrote a row. `written` remembers what is found."""
    if key not in written:
        if key not in models.keys:
            return set()
        upstream = [_tenants_written(each, models, written) for each in models.asset_deps[key]]
        written[key] = set[str]().union(*upstream)
    return written[key]


def node_metadata(node: NodeResult) -> Metadata:
    """The metadata of the build of one model."""
    return {"rows_written": node.rows or 0, "seconds": round(node.seconds, 2), "dbt_message": node.message}
