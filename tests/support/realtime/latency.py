"""How long it takes from an event in a store to the marts: by the inbox, and by looking into a mart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.marts.warehouse import Warehouse
from tests.support.realtime.polling import watching
from tests.support.realtime.traffic import Order, Traffic

_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Latency:
    """Seconds from an event to the marts.

    Args:
        events: so many, every one that was delivered.
        median: of them.
        p95: their 95th percentile.
    """

    events: int
    median: float
    p95: float

    def __str__(self) -> str:
        return f"{self.events} events, median {self.median:.1f} s, 95th percentile {self.p95:.1f} s"


_PERCENTILES = """
    select
        count(*), percentile_cont(0.5) within group (order by took), percentile_cont(0.95) within group (order by took)
    """


def by_inbox(warehouse: Warehouse) -> Latency:
    """What the inbox says of all events."""
    took = "extract(epoch from in_marts_at - triggered_at)::float8 as took"
    return _latency(warehouse, f"{_PERCENTILES} from (select {took} from ops.webhook_inbox) inbox")


def stages(warehouse: Warehouse) -> str:
    """The median seconds of what the inbox knows of: to the gateway, from there to raw, and from there to the marts."""
    median = "percentile_cont(0.5) within group (order by extract(epoch from {}))::float8"
    spans = ("received_at - triggered_at", "done_at - received_at", "in_marts_at - done_at")
    query = f"select {', '.join(median.format(span) for span in spans)} from ops.webhook_inbox"
    ((received, read, made),) = warehouse.query(query)
    return f"received {received:.1f} s, in raw {read:.1f} s, in the marts {made:.1f} s"


def by_looking(warehouse: Warehouse, seen: dict[Order, float]) -> Latency:
    """What was seen of orders."""
    return _latency(warehouse, f"{_PERCENTILES} from unnest(%s::float8[]) took", list(seen.values()))


def _latency(warehouse: Warehouse, query: str, *values: Any) -> Latency:
    ((events, median, p95),) = warehouse.query(query, *values)
    return Latency(events, median, p95)


@contextmanager
def orders_seen(warehouse: Warehouse, traffic: Traffic) -> Iterator[dict[Order, float]]:
    """Look for the orders that are placed in the mart `fct_orders`, as a person at a BI tool would.

    Yields:
        For each order that was there, how many seconds after it was placed.
    """
    seen: dict[Order, float] = {}

    def look() -> None:
        placed = dict(traffic.placed)
        unseen = placed.keys() - seen.keys()
        query = "select tenant_id, order_id from marts.fct_orders where order_id = any(%s)"
        for order in unseen.intersection(warehouse.query(query, [number for _, number in unseen])):
            seen[order] = time.time() - placed[order]

    with watching(look, _SECONDS_BETWEEN_LOOKS):
        yield seen
