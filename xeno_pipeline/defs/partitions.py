"""The tenants as Dagster's partitions."""

from __future__ import annotations

from functools import partial

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.dagster_internals import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.defs.run_requests import UNFINISHED
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.bisection import Failures

TENANTS = dg.DynamicPartitionsDefinition(name="tenants")
"""One partition for each active tenant; its key is the tenant's handle."""

TENANTS_READ_A_RUN = 10
"""How many tenants a backfill's run reads: several shops are waited for at once."""

TENANTS_TRANSFORMED_A_RUN = 50
"""How many tenants a backfill's run transforms: one dbt invocation costs the same for all of them.

It differs from the number above on purpose: Dagster then backfills raw and marts in separate runs, and a tenant whose
extraction fails does not delay another tenant's marts.
"""

_PARTITION_TAGS = (PARTITION_TAG, RANGE_START_TAG, RANGE_END_TAG)


def align_partitions(instance: dg.DagsterInstance, database: Database, failures: Failures | None = None) -> None:
    """Make the partitions those of the active tenants.

    The partition of a suspended tenant is deleted, not its history: that returns with the partition. A partition that
    an unfinished run names stays until the run has ended; the run itself skips the tenant.

    Args:
        instance: Dagster's.
        database: where tenants are registered.
        failures: collects the tenants whose partition could not be added or deleted.
    """
    failures = Failures() if failures is None else failures
    with database.connect() as connection:
        wanted = [tenant.tenant_id for tenant in registry.active(connection)]
    known = set(instance.get_dynamic_partitions("tenants"))
    missing = [handle for handle in wanted if handle not in known]
    failures.bisect(missing, "adding its partition", partial(instance.add_dynamic_partitions, "tenants"))
    superfluous = known.difference(wanted)
    for handle in superfluous - (_named_by_runs(instance) if superfluous else set()):
        with failures.guard(handle, "deleting its partition"):
            instance.delete_dynamic_partition("tenants", handle)


def _named_by_runs(instance: dg.DagsterInstance) -> set[str]:
    """The partitions that unfinished runs name: Dagster would not start a run whose range has no end."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return {run.tags[tag] for run in runs for tag in _PARTITION_TAGS if tag in run.tags}


def align(settings: Settings, database: Database) -> None:
    """`align_partitions` in the instance that the settings name."""
    with open_instance(settings) as instance:
        align_partitions(instance, database)
