"""What `xeno doctor` diagnoses of Dagster: its storage, its daemon, and whether the code location loads."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import dagster as dg

from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, ok, warning, wrong
from xeno_pipeline.settings import Settings

_HEARTBEAT_TIMEOUT_SECONDS = 300.0
"""A daemon sends a heartbeat every 30 seconds, later during a long evaluation."""

_START = "Start it: `xeno dev` here, or `dagster-daemon run` with DAGSTER_HOME set where it is deployed."


def diagnose_dagster(settings: Settings) -> list[Diagnosis]:
    """Storage and daemon of the instance that DAGSTER_HOME names, else of the one under XENO_HOME."""
    try:
        with open_instance(settings) as instance:
            runs = instance.get_runs_count()
            return [ok("dagster storage", f"{runs:,} runs are stored"), _diagnose_daemon(instance)]
    except Exception as error:  # noqa: BLE001 - whatever Dagster raises is the diagnosis
        remedy = "Check DAGSTER_HOME and its dagster.yaml; after an upgrade run `dagster instance migrate`."
        return [wrong("dagster storage", f"Dagster's instance does not open ({_first_line(error)}).", remedy)]


def diagnose_code_location(settings: Settings) -> Diagnosis:
    """Whether the code location loads, and how long that takes."""
    started = time.monotonic()
    try:
        from xeno_pipeline.defs.build import build_defs  # its import is part of what may fail

        assets = len(build_defs(settings).get_repository_def().asset_graph.get_all_asset_keys())
    except Exception as error:  # noqa: BLE001 - whatever it raises is the diagnosis
        return wrong("code location", f"It does not load ({_first_line(error)}).", "Fix that, or run `make install`.")
    return ok("code location", f"{assets} assets load in {time.monotonic() - started:.1f} s")


def _diagnose_daemon(instance: dg.DagsterInstance) -> Diagnosis:
    statuses = instance.get_daemon_statuses().values()
    heartbeats = {s.daemon_type: s.last_heartbeat.timestamp for s in statuses if s.last_heartbeat is not None}
    if not heartbeats:
        return warning("dagster daemon", "It never ran, so schedules, sensors and backfills do nothing.", _START)
    oldest_heartbeat = time.time() - _HEARTBEAT_TIMEOUT_SECONDS
    stopped = sorted(s.daemon_type for s in statuses if not s.healthy or heartbeats[s.daemon_type] < oldest_heartbeat)
    if stopped:
        last = datetime.fromtimestamp(max(heartbeats.values()), UTC)
        message = f"{', '.join(stopped)} failed or stopped; the last heartbeat was at {last:%Y-%m-%d %H:%M:%S} UTC."
        return wrong("dagster daemon", message, _START)
    return ok("dagster daemon", f"{', '.join(sorted(heartbeats))} are running")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
