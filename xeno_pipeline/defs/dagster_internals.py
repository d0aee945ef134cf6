"""The only module that touches Dagster's private API (`dagster._core`) or its tables.

What is used here may change in any release of Dagster, so `tests/integration/defs/test_dagster_internals.py` checks
each symbol, table and column on a real instance, and fails once the installed Dagster is outside `VERIFIED_VERSIONS`.
Extend the range after an upgrade when that test passes otherwise. Each function says which public API is missing.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    DOCKER_IMAGE_TAG,
    GRPC_INFO_TAG,
    PARTITION_NAME_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine

from xeno_pipeline.database.connection import Connection

VERIFIED_VERSIONS = ">=1.13.27,<1.14"

ASSET_JOB = IMPLICIT_ASSET_JOB_NAME
"""The job of every run that materializes assets, from the UI or by a backfill. `ops.run_failures` has it as a key."""

PARTITION_TAG = PARTITION_NAME_TAG
RANGE_START_TAG = ASSET_PARTITION_RANGE_START_TAG
RANGE_END_TAG = ASSET_PARTITION_RANGE_END_TAG
BACKFILL_TAG = BACKFILL_ID_TAG
SCHEDULE_TAG = SCHEDULE_NAME_TAG
SENSOR_TAG = SENSOR_NAME_TAG

GRPC_TAG = GRPC_INFO_TAG
"""The tag of a run that was started in a code server."""

JOB_IMAGE_TAG = DOCKER_IMAGE_TAG
"""The tag of a run that a Kubernetes Job was, or is being, made for."""

__all__ = ["CheckRunHealthResult", "LaunchRunContext", "WorkerStatus"]  # what a run launcher is called with

DAEMON_MODULE = "dagster._daemon"
"""What `dagster-daemon` runs, for `python -m`: the program need not be on the PATH."""

RUN_MODULE = "dagster._grpc.impl"
"""What the process of a run executes."""

_EVENTS_A_BATCH = "1000"

_LATEST_MATERIALIZATIONS = """
    select distinct run_id from dagster.event_logs
    where id in (
        select max(id) from dagster.event_logs
        where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key is not null
        group by asset_key, partition
    )
    """

Context = dg.OpExecutionContext | dg.AssetExecutionContext


def write_materialization_batch(context: Context, events: Sequence[dg.AssetMaterialization]) -> None:
    """Record materializations in one transaction.

    The public `context.log_event` takes 9 ms for each, four connections to the database among them: a minute for the
    assets of a hundred tenants, while webhooks wait.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _EVENTS_A_BATCH)  # without it Dagster writes one by one
    step, batch = context.get_step_execution_context(), uuid4().hex
    for number, event in enumerate(events, start=1):
        metadata = DagsterEventBatchMetadata(batch, is_end=number == len(events))
        dg.DagsterEvent.asset_materialization(step, event, metadata)


def write_materialization(context: Context, event: dg.AssetMaterialization) -> None:
    """Record one materialization."""
    dg.DagsterEvent.asset_materialization(context.get_step_execution_context(), event)


@contextmanager
def keeping_connection(instance: dg.DagsterInstance) -> Iterator[None]:
    """Have what this process records written by one connection, instead of one for every few rows.

    Dagster's storage connects anew each time, two hundred times for a batch of ten tenants: a third of what it takes to
    record it, and as much of the server's time. The public `optimize_for_webserver` keeps a connection, too, but
    notices too late that the server was restarted.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        yield
        return
    before = storage._engine
    storage._engine = create_pg_engine(
        storage.postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, pool_pre_ping=True
    )
    try:
        yield
    finally:
        storage._engine.dispose()
        storage._engine = before


def is_code_server() -> bool:
    """Whether this process serves a code location: only its command line says so."""
    return sys.argv[1:3] == ["api", "grpc"] and multiprocessing.parent_process() is None


def make_runs_of(process: type[BaseProcess]) -> None:
    """Have the code server of this process execute each run in a process of another kind than a new interpreter.

    The server takes them from multiprocessing's context `spawn`; Dagster has no setting for it.
    """
    multiprocessing.get_context("spawn").Process = process  # type: ignore[misc,assignment]  # as the server asks for it


def launcher_module(instance: dg.DagsterInstance) -> str | None:
    """The module of the run launcher that the instance is configured with; None of the default one, or in memory.

    The public `instance.run_launcher` makes the launcher, which only a process with the cluster's token can.
    """
    ref = instance.get_ref() if instance.is_persistent else None
    return ref.run_launcher_data.module_name if ref is not None and ref.run_launcher_data is not None else None


def materialized_partitions(context: Context, key: dg.AssetKey) -> set[str | None]:
    """The partitions of an asset that this run has recorded as materialized."""
    events = _events(context.instance, context.run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [event.step_materialization_data.materialization for event in events]
    return {each.partition for each in found if each.asset_key == key}


def planned_partitions(context: Context) -> set[str]:
    """The partitions that a run was planned to materialize, those deleted since included.

    `context.partition_keys` raises once an end of the run's range is deleted.
    """
    events = _events(context.instance, context.run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    return {key for event in events if (key := event.asset_materialization_planned_data.partition)}


def step_failure_metadata(instance: dg.DagsterInstance, run_id: str, name: str) -> Iterator[Any]:
    """The values that the failed steps of a run gave to one entry of their `Failure`'s metadata."""
    for event in _events(instance, run_id, dg.DagsterEventType.STEP_FAILURE):
        failure = event.step_failure_data.user_failure_data
        if failure is not None and name in failure.metadata:
            yield failure.metadata[name].value


def step_error_message(event: dg.DagsterEvent) -> str | None:
    """The message of the exception that a step failed with, without its class; None where the step raised none."""
    error = event.step_failure_data.error
    if error is None:
        return None
    while error.cause is not None:
        error = error.cause
    _, _, message = error.message.partition(": ")  # Dagster keeps "package.Class: message"
    return (message or error.message).strip()


def runs_of_latest_materializations(connection: Connection) -> set[str]:
    """The runs that made the latest materialization of some partition of some asset.

    Dagster shows a partition as missing once that run is deleted, and its API cannot ask for them. Should a later
    Dagster name its table or columns otherwise, this query fails and nothing is deleted.
    """
    return {run_id for (run_id,) in connection.execute(_LATEST_MATERIALIZATIONS)}


def latest_materialization_metadata(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, Mapping[str, dg.MetadataValue]]:
    """The metadata of the latest materialization of partitions of an asset; those never materialized are left out."""
    event_type = dg.DagsterEventType.ASSET_MATERIALIZATION
    ids = list(instance.get_latest_storage_id_by_partition(key, event_type, set(partitions)).values())
    if not ids:
        return {}
    records = instance.fetch_materializations(dg.AssetRecordsFilter(key, storage_ids=ids), len(ids)).records
    return {
        str(record.partition_key): record.asset_materialization.metadata
        for record in records
        if record.asset_materialization is not None
    }


def _events(instance: dg.DagsterInstance, run_id: str, of_type: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
    for record in instance.get_records_for_run(run_id, of_type=of_type).records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield event
