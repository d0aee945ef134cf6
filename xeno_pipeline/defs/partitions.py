"""The tenants as Dagster's partitions."""

from __future__ import annotations

from functools import partial

import dagster as dg

from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.concurrency import UNFINISHED
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apart import Failures

TENANTS = dg.DynamicPartitionsDefinition(name="tenants")
"""One partition per active tenant, by its handle."""

_PARTITION_TAGS = (*("dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"),)


def align_partitions(instance: dg.DagsterInstance, database: Database, failures: Failures | None = None) -> None:
    """Bring the partitions in step with the registry: the active tenants, no others.

    The status of a tenant that is suspended is not lost: it comes back with the partition. One that a queued backfill
    names is left until that has run; the run skips its tenant.

    Args:
        instance: Dagster's.
        database: where tenants are registered.
        failures: told whose partition could not be made or deleted.
    """
    failures = Failures() if failures is None else failures
    with database.connect() as connection:
        wanted = [tenant.tenant_id for tenant in registry.active(connection)]
    known = set(instance.get_dynamic_partitions("tenants"))
    missing = [handle for handle in wanted if handle not in known]
    failures.apart(missing, "its partition", partial(instance.add_dynamic_partitions, "tenants"))
    superfluous = known.difference(wanted)
    for handle in superfluous - (_named_by_runs(instance) if superfluous else set()):
        with failures.guard(handle, "its partition"):
            instance.delete_dynamic_partition("tenants", handle)


def _named_by_runs(instance: dg.DagsterInstance) -> set[str]:
    """The partitions that runs name which have not ended: Dagster would refuse to begin a range that ends nowhere."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return {run.tags[tag] for run in runs for tag in _PARTITION_TAGS if tag in run.tags}


def align(settings: Settings, database: Database) -> None:
    """Bring the partitions in step with the registry, on the instance that the settings name."""
    with open_instance(settings) as instance:
        align_partitions(instance, database)
