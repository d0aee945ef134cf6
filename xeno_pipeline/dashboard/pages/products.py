"""Products: what sells, in any days."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.visits import StoreVisit
from xeno_pipeline.insights.products import TopProduct, top_products

_MOST = 100


def show(visit: StoreVisit) -> Response:
    """The page."""
    days = visit.days
    products = top_products(visit.connection, visit.tenant_id, days.period, limit=_MOST)
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-products-{days.period.first}-{days.period.last}", TopProduct, products)
    compared = days.compared
    before = top_products(visit.connection, visit.tenant_id, compared, limit=1_000) if compared else []
    return visit.respond(
        "products.html",
        days=days,
        products=products,
        before={product.product_id: product for product in before},
        compared=compared,
        most=max((product.net_sales for product in products), default=Decimal(0)),
        define=lambda column: DEFINITIONS.of(visit.connection, "top_products", column),
    )
