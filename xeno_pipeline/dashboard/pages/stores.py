"""All stores that somebody may read, each in its own currency."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.formats import formats_for
from xeno_pipeline.dashboard.visits import Visit
from xeno_pipeline.insights.problems import count_problems
from xeno_pipeline.insights.store_figures import StoreFigures, figures_of_stores
from xeno_pipeline.insights.stores import list_stores


def go_to_one(visit: Visit) -> Response:
    """To the store, where there is but one; else to all of them."""
    stores = sorted(visit.access.stores)
    return RedirectResponse(f"/stores/{stores[0]}" if len(stores) == 1 else "/stores", 303)


def show(visit: Visit) -> Response:
    """The page."""
    stores = list_stores(visit.connection, sorted(visit.access.stores))
    figures = figures_of_stores(visit.connection, [store.store for store in stores if store.made_at])
    problems = count_problems(visit.connection, [store.store for store in stores])
    if visit.table_to_download() is not None:
        known = [figures[store.store] for store in stores if store.store in figures]
        return csv_of("stores", StoreFigures, known)
    rows = [
        (store, figures.get(store.store), formats_for(visit.locale, store.currency, store.iana_timezone))
        for store in stores
    ]
    return visit.respond(
        "stores.html",
        rows=rows,
        problems=problems,
        define=lambda column: DEFINITIONS.of(visit.connection, "tenant_overview", column),
    )
