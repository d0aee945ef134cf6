"""Data: how fresh and complete it is, syncs and their progress, and one more of them at once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.responses import RedirectResponse, Response

from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.paging import Page
from xeno_pipeline.insights.problems import Problem, open_problems
from xeno_pipeline.insights.streams import StreamFreshness, stream_freshness
from xeno_pipeline.insights.syncs import Sync, list_syncs, request_sync
from xeno_pipeline.tenants.syncs import SyncConflictError

_SHOWN = 10


def show(visit: StoreVisit, dagster_url: str | None) -> Response:
    """The page.

    Args:
        dagster_url: where operators reach the Dagster UI; None where that is not known.
    """
    streams = stream_freshness(visit.connection, visit.tenant_id)
    problems = open_problems(visit.connection, visit.tenant_id)
    if (table := visit.table_to_download()) is not None:
        if table == "problems":
            without = _operators_fields(visit, "message", "command")
            return csv_of(f"{visit.tenant_id}-problems", Problem, problems, without=without)
        without = _operators_fields(visit, "reason")
        return csv_of(f"{visit.tenant_id}-streams", StreamFreshness, streams, without=without)
    return visit.respond(
        "data.html",
        streams=streams,
        problems=problems,
        dagster_url=dagster_url.rstrip("/") if dagster_url and visit.may("sync") else None,
        **_syncs(visit),
    )


def syncs(visit: StoreVisit) -> Response:
    """The latest syncs; it asks for itself again while one of them runs."""
    if visit.table_to_download() is not None:
        without = {"store", "requested_by", "version", "progress"} | _operators_fields(visit, "reason")
        return download_all(visit, "syncs", Sync, _read, without=without)
    return visit.respond("data_syncs.html", **_syncs(visit))


def sync_now(visit: StoreVisit) -> Response:
    """Request a sync of all streams."""
    with suppress(SyncConflictError):  # another one is on its way, which the page shows
        request_sync(visit.connection, visit.tenant_id, by=visit.access.subject_id)
    return RedirectResponse(visit.path("data"), 303)


def _operators_fields(visit: StoreVisit, *names: str) -> set[str]:
    """The fields that a file leaves out, unless it is an operator's: what only they can make use of."""
    return set() if visit.may("sync") else set(names)


def _read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Sync]:
    return list_syncs(visit.connection, visit.tenant_id, cursor=cursor, limit=limit)


def _syncs(visit: StoreVisit) -> dict[str, Any]:
    found = list_syncs(visit.connection, visit.tenant_id, limit=_SHOWN).data
    return {
        "running": [sync for sync in found if not sync.is_finished],
        "finished": [sync for sync in found if sync.is_finished],
    }
