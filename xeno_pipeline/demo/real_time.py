"""Real time, to look at: something happens in the stores, and what the marts say before and after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from rich.table import Table

from shopify_sandbox.control import StoreControl
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.demo.listening import usable_port
from xeno_pipeline.demo.processes import serve_daemon, serve_gateway
from xeno_pipeline.demo.stores import ServedStores
from xeno_pipeline.errors import XenoError
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.registry import Tenant

_LONGEST_SECONDS = 120.0
_SECONDS_BETWEEN_LOOKS = 0.2

_FIGURES = ("orders", "new customers", "gross sales", "returns", "net sales")
_TODAY = """
    select coalesce(sum(orders), 0), coalesce(sum(new_customers), 0), coalesce(sum(gross_sales), 0),
        coalesce(sum(returns), 0), coalesce(sum(net_sales), 0)
    from marts.revenue_daily
    join ops.tenants using (tenant_id)
    where tenant_id = %s and date_day = (now() at time zone tenants.iana_timezone)::date
    """


class TooLateError(XenoError):
    """Events did not come to the marts in time."""


@dataclass(frozen=True)
class Arrival:
    """That events came to the marts.

    Args:
        webhooks: how many were sent.
        median: seconds from the event to the marts.
        last: of the one that took longest.
    """

    webhooks: int
    median: float
    last: float


@contextmanager
def served(settings: Settings, stores: ServedStores, tenants: Sequence[Tenant]) -> Iterator[None]:
    """The gateway and Dagster's daemon, which bring events of stores to the marts, for the length of a `with`.

    Where `make dev` in another terminal serves the stores, its gateway and daemon are used.
    """
    if stores.by_another and usable_port(settings.gateway_port) == 0:
        yield
        return
    with serve_daemon(settings), serve_gateway(settings, usable_port(settings.gateway_port)) as gateway:
        for tenant in tenants:
            gateway.listen_to(stores.control(tenant))
        yield


def let_things_happen(stores: Sequence[StoreControl]) -> None:
    """Two orders in each store; one is refunded in the second store, one cancelled in the last."""
    for number, store in enumerate(stores):
        store.place_order(new_customer=True)
        (order,) = store.place_order()["orders"]
        if number == 1:
            store.refund(order)
        if number == len(stores) - 1:
            store.cancel_order(order)


def await_marts(database: Database, stores: Sequence[StoreControl], since: float) -> Arrival:
    """Wait until everything that the stores' webhooks reported is in the marts.

    Args:
        database: where the marts are.
        stores: where something happened.
        since: from when on, in seconds since 1970.

    Raises:
        TooLateError: that took too long.
    """
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        if not any(store.webhooks()["waiting"] for store in stores):
            with database.connect() as connection:
                arrival = _arrival(connection, since)
            if arrival is not None:
                return arrival
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    raise TooLateError("The events did not come to the marts within two minutes: `xeno webhooks list` shows them.")


def _arrival(connection: Connection, since: float) -> Arrival | None:
    """What came of all events since then; None while one is under way."""
    ((webhooks, waiting, median, last),) = connection.execute(
        """
        select count(*), count(*) filter (where in_marts_at is null),
            percentile_cont(0.5) within group (order by extract(epoch from in_marts_at - triggered_at))::float8,
            extract(epoch from max(in_marts_at - triggered_at))::float8
        from ops.webhook_inbox where received_at >= to_timestamp(%s)
        """,
        [since],
    ).fetchall()
    return Arrival(webhooks, median, last) if webhooks and not waiting else None


class Comparison:
    """What the marts say of a tenant's today, before and after.

    Args:
        database: where the marts are.
        tenants: whose.
    """

    def __init__(self, database: Database, tenants: Sequence[Tenant]) -> None:
        self._database, self._tenants = database, tenants
        self._before = self._figures()

    def table(self) -> Table:
        """Each figure that changed as `before → after`."""
        table = Table("store", box=None, pad_edge=False, header_style="dim")
        for figure in _FIGURES:
            table.add_column(f"{figure} today", justify="right")
        for tenant, before, after in zip(self._tenants, self._before, self._figures(), strict=True):
            table.add_row(f"{tenant.name}, {tenant.currency}", *map(_change, before, after))
        return table

    def _figures(self) -> list[tuple[Decimal, ...]]:
        with self._database.connect() as connection:
            return [connection.execute(_TODAY, [tenant.tenant_id]).fetchall()[0] for tenant in self._tenants]


def _change(before: Decimal, after: Decimal) -> str:
    return f"{before:,.0f}" if before == after else f"{before:,.0f} → [bold green]{after:,.0f}[/]"
