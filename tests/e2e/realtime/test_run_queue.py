"""The run queue, with Dagster's daemon: what waits is started by priority, and never more of a lane than may be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter, reconstructable

# Only a process with the workspace loaded can queue runs by public means, and that takes as long as the test.
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from tests.support.daemon_process import DaemonProcess
from tests.support.realtime import lanes_location
from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.settings import PROJECT_DIR, load_settings

pytestmark = pytest.mark.thorough

SECONDS = 180.0
"""Until runs are at work, each a process of its own. It takes a tenth of that where nothing else is at work."""
LOCATION = "lanes"
AT_WORK = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED]


class Queue:
    """Runs in the queue, which hold their places until they are let go."""

    def __init__(self, instance: DagsterInstance, folder: Path) -> None:
        self._instance, self._folder = instance, folder

    def add(self, *jobs: str) -> None:
        """Queue a run of each."""
        target = LoadableTargetOrigin(module_name=lanes_location.__name__, working_directory=str(PROJECT_DIR))
        repository = RemoteRepositoryOrigin(ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION), "__repository__")
        for name in jobs:
            self._instance.create_run_for_job(
                lanes_location.JOBS[name],
                status=DagsterRunStatus.QUEUED,
                tags={**lanes_location.JOBS[name].tags, lanes_location.GATE_TAG: str(self._folder / name)},
                remote_job_origin=RemoteJobOrigin(repository, name),
                job_code_origin=reconstructable(getattr(lanes_location, name)).get_python_origin(),
            )

    @contextmanager
    def open_gate(self, name: str) -> Iterator[None]:
        """Let runs of a job end, for the length of a `with`."""
        gate = self._folder / name
        gate.touch()
        yield
        gate.unlink()

    def await_at_work(self, **expected: int) -> None:
        """Wait until exactly that many runs of each job are at work; more than may be are never."""
        deadline = time.monotonic() + SECONDS
        while True:
            runs = self._instance.get_runs(RunsFilter(statuses=AT_WORK))
            jobs = Counter(run.job_name for run in runs)
            assert jobs["requested"] <= 1
            assert jobs["routine"] <= 2
            assert jobs["dagster_backfill"] <= 1
            assert jobs["history"] <= 1
            assert jobs.total() <= 6
            if jobs == Counter(expected) and all(run.status == DagsterRunStatus.STARTED for run in runs):
                return
            assert time.monotonic() < deadline, (jobs, expected)
            time.sleep(0.1)


@pytest.fixture
def queue(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue that nobody looks at yet."""
    monkeypatch.setenv("XENO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XENO_DATABASE_URL", database.url)
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")  # what `open_instance` sets is taken back at the end
    with open_instance(load_settings()) as instance:
        yield Queue(instance, tmp_path)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    written = tmp_path / "workspace.yaml"
    written.write_text(
        f"load_from:\n- python_module:\n    module_name: {lanes_location.__name__}\n    location_name: {LOCATION}\n"
        f"    working_directory: {PROJECT_DIR}\n"
    )
    return written


@pytest.mark.timeout(600)
def test_webhooks_go_first_then_requests_then_the_clock_then_backfills_and_a_place_stays_free_for_webhooks(
    queue: Queue, workspace: Path, tmp_path: Path
) -> None:
    queue.add("history", "history", "dagster_backfill", "dagster_backfill")
    queue.add(*["routine"] * 3, "requested", "requested", "live", "live")
    with DaemonProcess(tmp_path / "home", workspace):
        queue.await_at_work(live=2, requested=1, routine=2, dagster_backfill=1)
        with queue.open_gate("live"):
            queue.await_at_work(requested=1, routine=2, dagster_backfill=1, history=1)
        queue.add("live")
        queue.await_at_work(live=1, requested=1, routine=2, dagster_backfill=1, history=1)
