"""Data: how fresh and complete it is, syncs and their progress, and one more of them at once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.responses import RedirectResponse, Response

from xeno_pipeline.dashboard.downloads import csv_response
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.streams import StreamFreshness, stream_freshness
from xeno_pipeline.insights.syncs import list_syncs, request_sync
from xeno_pipeline.tenants.syncs import SyncConflictError

_SHOWN = 10


def show(visit: StoreVisit) -> Response:
    """The page."""
    streams = stream_freshness(visit.connection, visit.tenant_id)
    if visit.query.get("format") == "csv":
        columns = tuple(StreamFreshness.model_fields)
        rows = ([getattr(stream, column) for column in columns] for stream in streams)
        return csv_response(f"{visit.tenant_id}-streams", columns, rows)
    return visit.respond("data.html", streams=streams, csv_url=visit.url_with(format="csv"), **_syncs(visit))


def syncs(visit: StoreVisit) -> Response:
    """The latest syncs; it asks for itself again while one of them runs."""
    return visit.respond("data_syncs.html", **_syncs(visit))


def sync_now(visit: StoreVisit) -> Response:
    """Request a sync of all streams."""
    with suppress(SyncConflictError):  # another one is on its way, which the page shows
        request_sync(visit.connection, visit.tenant_id, by=visit.access.subject_id)
    return RedirectResponse(visit.path("data"), 303)


def _syncs(visit: StoreVisit) -> dict[str, Any]:
    found = list_syncs(visit.connection, visit.tenant_id, limit=_SHOWN).data
    return {
        "running": [sync for sync in found if not sync.is_finished],
        "finished": [sync for sync in found if sync.is_finished],
    }
