"""The models of who orders again as assets, partitioned by tenant: between the tables they are fitted on and marts."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

from collections.abc import Iterator

import dagster as dg

from xeno_pipeline.defs.code_references import references, to_module
from xeno_pipeline.defs.concurrency import BACKFILL_POOL, lower_cpu_priority
from xeno_pipeline.defs.dagster_internals import ASSET_JOB
from xeno_pipeline.defs.failures import finish_run
from xeno_pipeline.defs.materializations import record_materializations
from xeno_pipeline.defs.partitions import TENANTS, TENANTS_TRANSFORMED_A_RUN
from xeno_pipeline.defs.resources import PipelineResource
from xeno_pipeline.defs.tenant_selection import requested_partitions, select_tenants
from xeno_pipeline.predictions import refit as module
from xeno_pipeline.predictions.refit import refit

_TABLES = {
    "prediction_fits": "The models of who orders again, how often and for how much: one row per tenant.",
    "prediction_curves": "Polynomials by which SQL computes expected orders, by number of repeats and age.",
    "prediction_backtests": "What the models would have predicted in the past, and what happened.",
}
PREDICTION_KEYS = {table: dg.AssetKey(["intermediate", table]) for table in _TABLES}
"""The assets, by the name of their table."""

_FITTED_ON = [
    dg.AssetKey(["marts", "fct_orders"]),
    dg.AssetKey(["marts", "fct_sales"]),
    *(dg.AssetKey(["intermediate", name]) for name in ("int_customers", "int_daily_sales", "int_tenant_figures")),
]


@dg.multi_asset(
    name="fit_predictions",
    specs=[
        dg.AssetSpec(
            PREDICTION_KEYS[table],
            deps=_FITTED_ON,
            group_name="intermediate",
            kinds={"python", "scipy", "postgres", "table"},
            partitions_def=TENANTS,
            description=f"{description} Fitted weekly, as of the last Monday.",
            metadata=references(to_module(module)),
        )
        for table, description in _TABLES.items()
    ],
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=TENANTS_TRANSFORMED_A_RUN),
    pool=BACKFILL_POOL,
)
def prediction_assets(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Fit the models of the run's tenants that are due.

    If a tenant fails or is skipped, the materializations of the others are recorded one by one, since Dagster would
    record a result for every partition of the run; then the step fails and names the tenants that failed.
    """
    lower_cpu_priority(context.run.tags)
    database, requested = pipeline.open().database, requested_partitions(context)
    tenant_ids = [tenant.tenant_id for tenant in select_tenants(context.log, database, requested)]
    report = refit(database, tenant_ids)
    made = [tenant_id for tenant_id in tenant_ids if tenant_id not in report.failures.reasons]
    if set(made) != set(requested):
        record_materializations(context, list(prediction_materializations(made)), report.failures)
    else:
        for key in PREDICTION_KEYS.values():
            yield dg.MaterializeResult(asset_key=key)
    finish_run(context, database, ASSET_JOB, tenant_ids, report.failures)


def prediction_materializations(tenant_ids: list[str]) -> Iterator[dg.AssetMaterialization]:
    """A materialization for each of the tables and tenants."""
    for key in PREDICTION_KEYS.values():
        for tenant_id in tenant_ids:
            yield dg.AssetMaterialization(key, partition=tenant_id)
