"""The tenants as Dagster's partitions."""

from __future__ import annotations

from dagster import DagsterInstance, DynamicPartitionsDefinition

from xeno_pipeline.orchestration.instance import open_instance
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.warehouse.connection import Database

TENANTS = DynamicPartitionsDefinition(name="tenants")
"""One partition per active tenant, by its handle."""


def align_partitions(instance: DagsterInstance, database: Database) -> None:
    """Bring the partitions in step with the registry: the active tenants, no others.

    The status of a tenant that is suspended is not lost: it comes back with the partition.
    """
    with database.connect() as connection:
        wanted = [tenant.tenant_id for tenant in registry.active(connection)]
    known = set(instance.get_dynamic_partitions("tenants"))
    if missing := [handle for handle in wanted if handle not in known]:
        instance.add_dynamic_partitions("tenants", missing)
    for handle in known.difference(wanted):
        instance.delete_dynamic_partition("tenants", handle)


def align(settings: Settings, database: Database) -> None:
    """Bring the partitions in step with the registry, on the instance that the settings name."""
    with open_instance(settings) as instance:
        align_partitions(instance, database)
