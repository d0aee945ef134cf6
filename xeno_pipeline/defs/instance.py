"""Dagster's instance: its folder under XENO_HOME, and runs whose process died."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil

from xeno_pipeline.settings import PROJECT_DIR, Settings

_HOST_TAG, _PID_TAG, _STARTED_TAG = "xeno/host", "xeno/pid", "xeno/process_started"


def dagster_home(settings: Settings) -> Path:
    """The folder for DAGSTER_HOME: a link to the repository's `dagster.yaml`, and Dagster's local files."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    link = home / "dagster.yaml"
    if not link.is_symlink() or link.readlink() != PROJECT_DIR / "dagster.yaml":
        draft = home / f".dagster.yaml.{os.getpid()}"
        draft.symlink_to(PROJECT_DIR / "dagster.yaml")
        draft.replace(link)
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that DAGSTER_HOME names; by default the one under XENO_HOME."""
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home(settings)))
    with dg.DagsterInstance.get() as instance:
        yield instance


def upgrade_storage(settings: Settings) -> None:
    """Migrate Dagster's own tables to the installed Dagster, in the instance that `open_instance` opens."""
    with open_instance(settings) as instance:
        instance.upgrade()


def process_tags() -> dict[str, str]:
    """The tags by which `fail_dead_runs` finds the process of a run that executes in this process."""
    process = psutil.Process()
    return {
        _HOST_TAG: socket.gethostname(),
        _PID_TAG: str(process.pid),
        _STARTED_TAG: str(process.create_time()),
    }


def has_process(run: dg.DagsterRun) -> bool:
    """Whether a process has begun with the run."""
    return _PID_TAG in run.tags


def fail_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose process on this machine was killed.

    Dagster's code server does so for runs that it launched, unless it died with them or the database was unavailable
    at the time. Such a run would count as in progress for a day.
    """
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={_HOST_TAG: socket.gethostname()})
    for run in instance.get_runs(filters):
        if not _is_alive(int(run.tags[_PID_TAG]), float(run.tags[_STARTED_TAG])):
            instance.report_run_failed(run, "The process of this run was killed. What it had committed remains.")


def _is_alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False
