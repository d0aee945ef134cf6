"""What is used of Dagster's private API and tables is as it was when it was verified: an upgrade fails here first."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops at run time.

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEventBatchMetadata
from dagster._grpc.impl import start_run_in_subprocess
from dagster._grpc.server import DagsterApiServer
from packaging.specifiers import SpecifierSet

import xeno_pipeline
from tests.support.location import Location
from xeno_pipeline.defs import dagster_internals as internals
from xeno_pipeline.monitoring import checks

pytestmark = pytest.mark.thorough

KEY = dg.AssetKey(["raw", "orders"])


@pytest.fixture
def materializing(location: Location) -> dg.JobDefinition:
    """A job of one op that records materializations of three partitions, two of them in a batch."""

    @dg.op
    def materialize(context: dg.OpExecutionContext) -> None:
        first, second, third = (
            dg.AssetMaterialization(KEY, partition=name, metadata={"of": name})
            for name in ("acme", "globex", "initech")
        )
        internals.write_materialization_batch(context, [first, second])
        internals.write_materialization(context, third)
        assert internals.materialized_partitions(context, KEY) == {"acme", "globex", "initech"}

    @dg.op
    def fail(context: dg.OpExecutionContext) -> None:
        raise dg.Failure("It failed.", metadata={"failed_tenants": dg.MetadataValue.json({"acme": "the reason"})})

    @dg.op
    def crash(context: dg.OpExecutionContext) -> None:
        raise ValueError("the outcome") from KeyError("the cause: with a colon")

    @dg.job(executor_def=dg.in_process_executor)
    def internal() -> None:
        materialize()
        fail()
        crash()

    return internal


def test_the_installed_dagster_is_one_that_was_verified() -> None:
    assert dg.__version__ in SpecifierSet(internals.VERIFIED_VERSIONS)


def test_the_code_server_makes_the_processes_of_runs_by_a_context_of_multiprocessing() -> None:
    assert 'self._mp_ctx = multiprocessing.get_context("spawn")' in inspect.getsource(DagsterApiServer)
    start = inspect.getsource(DagsterApiServer.StartRun)
    assert "self._mp_ctx.Process(" in start
    assert "target=start_run_in_subprocess" in start
    assert start_run_in_subprocess.__module__ == internals.RUN_MODULE
    assert not internals.is_code_server()  # this is none


def test_nothing_else_uses_the_private_api_or_the_tables() -> None:
    package = Path(xeno_pipeline.__file__).parent
    private = re.compile(r"^dagster(_dbt)?\._|\bdagster\.event_logs\b")
    users = {
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (getattr(node, "module", None), getattr(node, "value", None))
        if isinstance(name, str) and private.search(name)
    }
    assert users == {"dagster_internals.py"}


def test_names_are_what_other_places_take_them_for() -> None:
    assert internals.ASSET_JOB == "__ASSET_JOB"  # a key of ops.run_failures
    assert internals.ASSET_JOB in checks.RUNS.query
    assert internals.PARTITION_TAG == "dagster/partition"  # a limit in dagster.yaml
    assert (internals.RANGE_START_TAG, internals.RANGE_END_TAG, internals.BACKFILL_TAG) == (
        "dagster/asset_partition_range_start",
        "dagster/asset_partition_range_end",
        "dagster/backfill",
    )
    parameters = list(inspect.signature(dg.DagsterEvent.asset_materialization).parameters)
    assert parameters == ["step_context", "materialization", "batch_metadata"]
    assert DagsterEventBatchMetadata._fields == ("id", "is_end")


def test_the_daemon_is_a_module_that_can_be_run() -> None:
    assert importlib.util.find_spec(f"{internals.DAEMON_MODULE}.__main__") is not None


def test_the_table_of_events_has_the_columns_that_are_read(location: Location) -> None:
    columns = dict(
        location.installation.query(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'dagster' and table_name = 'event_logs'"
        )
    )
    text = {"text", "character varying"}
    assert columns["id"] in {"bigint", "integer"}
    assert {columns[name] for name in ("run_id", "dagster_event_type", "asset_key", "partition")} <= text


def test_events_are_written_and_read_back(location: Location, materializing: dg.JobDefinition) -> None:
    result = materializing.execute_in_process(instance=location.instance, raise_on_error=False)

    assert not result.success
    assert result.is_node_success("materialize")
    latest = internals.latest_materialization_metadata(location.instance, KEY, ["acme", "initech", "unknown"])
    assert {name: metadata["of"].value for name, metadata in latest.items()} == {"acme": "acme", "initech": "initech"}
    with location.installation.database.connect() as connection:
        assert internals.runs_of_latest_materializations(connection) == {result.run_id}
    failed = list(internals.step_failure_metadata(location.instance, result.run_id, "failed_tenants"))
    assert failed == [{"acme": "the reason"}]
    messages = {each.step_key: internals.step_error_message(each) for each in result.get_step_failure_events()}
    assert messages["crash"] == "'the cause: with a colon'", "a user can act on the root cause"


def test_a_batch_is_one_write_of_the_event_log(
    location: Location, materializing: dg.JobDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, sizes = location.instance.event_log_storage, list[int]()
    store = storage.store_event_batch

    def count(events: list[dg.EventLogEntry]) -> None:
        sizes.append(sum(event.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION for event in events))
        store(events)

    monkeypatch.setattr(storage, "store_event_batch", count)
    materializing.execute_in_process(instance=location.instance, raise_on_error=False)
    assert 2 in sizes


def test_what_a_run_records_by_a_connection_that_is_kept_survives_a_restart_of_the_server(location: Location) -> None:
    def record(partition: str) -> None:
        location.instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=partition))

    idle = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    before = location.installation.value(f"select count(*) {idle}")
    with internals.keeping_connection(location.instance):
        record("acme")
        assert location.installation.value(f"select count(*) {idle}") == before + 1
        assert location.installation.value(f"select bool_and(pg_terminate_backend(pid, 5000)) {idle}")
        record("globex")
    assert location.installation.value(f"select count(*) {idle}") == 0
    assert location.materialized(KEY).keys() == {"acme", "globex"}
