"""Dagster: its storage, its daemon, and whether the code location loads."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dagster import DagsterInstance

from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.monitoring.doctor.finding import Finding, ok, warning, wrong
from xeno_pipeline.settings import Settings

_MOST_SECONDS_SILENT = 300.0
"""A daemon gives a sign of life every 30 seconds, unless a long evaluation keeps it."""

_START = "Start it: `xeno dev` here, or `dagster-daemon run` with DAGSTER_HOME set where it is deployed."


def examine_dagster(settings: Settings) -> list[Finding]:
    """Storage and daemon of the instance that DAGSTER_HOME names, else of the one under XENO_HOME."""
    try:
        with open_instance(settings) as instance:
            runs = instance.get_runs_count()
            return [ok("dagster storage", f"{runs:,} runs are remembered"), _examine_daemon(instance)]
    except Exception as error:  # noqa: BLE001 - whatever Dagster raises is the finding
        remedy = "Check DAGSTER_HOME and its dagster.yaml; after an upgrade run `dagster instance migrate`."
        return [wrong("dagster storage", f"Dagster's instance does not open ({_first_line(error)}).", remedy)]


def examine_code_location() -> Finding:
    """Whether what Dagster loads can be loaded, and how long that takes."""
    started = time.monotonic()
    try:
        from xeno_pipeline.definitions import defs

        assets = len(defs.get_repository_def().asset_graph.get_all_asset_keys())
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return wrong("code location", f"It does not load ({_first_line(error)}).", "Mend that, or run `make install`.")
    return ok("code location", f"{assets} assets load in {time.monotonic() - started:.1f} s")


def _examine_daemon(instance: DagsterInstance) -> Finding:
    statuses = instance.get_daemon_statuses().values()
    beats = {s.daemon_type: s.last_heartbeat.timestamp for s in statuses if s.last_heartbeat is not None}
    if not beats:
        return warning("dagster daemon", "It never ran: schedules, sensors and backfills stand still.", _START)
    alive_since = time.time() - _MOST_SECONDS_SILENT
    silent = sorted(s.daemon_type for s in statuses if not s.healthy or beats[s.daemon_type] < alive_since)
    if silent:
        last = datetime.fromtimestamp(max(beats.values()), UTC)
        told = f"{', '.join(silent)} failed or went silent; the last sign of life was at {last:%Y-%m-%d %H:%M:%S} UTC."
        return wrong("dagster daemon", told, _START)
    return ok("dagster daemon", f"{', '.join(sorted(beats))} are alive")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
