"""The last thirty days of several stores, side by side; sums over them have no meaning, for each has its currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all, growth


class StoreFigures(Model):
    """A store's last thirty days beside the thirty before, of the mart `tenant_overview`."""

    store: str
    customers_last_30d: int
    orders_last_30d: int
    net_sales_last_30d: Amount
    orders_previous_30d: int
    net_sales_previous_30d: Amount

    @property
    def net_sales_growth(self) -> Decimal | None:
        """By what fraction net sales are above those before."""
        return growth(self.net_sales_last_30d, self.net_sales_previous_30d)

    @property
    def orders_growth(self) -> Decimal | None:
        """By what fraction orders are above those before."""
        return growth(self.orders_last_30d, self.orders_previous_30d)


def figures_of_stores(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, StoreFigures]:
    """The figures by handle; stores without marts are left out."""
    query = """
        select
            tenant_id as store, customers_last_30d, orders_last_30d, net_sales_last_30d, orders_previous_30d,
            net_sales_previous_30d
        from tenant_overview where tenant_id = any(%(tenant_ids)s)
        """
    found = fetch_all(connection, StoreFigures, query, {"tenant_ids": list(tenant_ids)})
    return {figures.store: figures for figures in found}
