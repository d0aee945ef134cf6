"""Dagster's instance as the command line and `xeno dev` use it: its local files under XENO_HOME."""

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
    """The folder that DAGSTER_HOME is to name: the repository's `dagster.yaml`, and Dagster's local files."""
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
    """The instance that DAGSTER_HOME names, else the one under XENO_HOME."""
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home(settings)))
    with dg.DagsterInstance.get() as instance:
        yield instance


def upgrade_storage(settings: Settings) -> None:
    """Bring Dagster's own tables to what the installed Dagster needs, in the instance that `open_instance` opens."""
    with open_instance(settings) as instance:
        instance.upgrade()


def process_tags() -> dict[str, str]:
    """Tags of a run that lives in this very process, so that its death can be noticed."""
    process = psutil.Process()
    return {
        _HOST_TAG: socket.gethostname(),
        _PID_TAG: str(process.pid),
        _STARTED_TAG: str(process.create_time()),
    }


def fail_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose process on this machine was killed.

    Dagster's code server does so for runs that it launched, unless it dies with them or the database is away just
    then; after that a run would count as under way for a day.
    """
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={_HOST_TAG: socket.gethostname()})
    for run in instance.get_runs(filters):
        if not _is_alive(int(run.tags[_PID_TAG]), float(run.tags[_STARTED_TAG])):
            instance.report_run_failed(run, "The process of this run was killed. What it had committed stays.")


def _is_alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False
