"""What segments cost in a store of 200,000 customers: to try one, to add twenty, and to keep these current."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

from tests.bench.insights import CUSTOMERS_COUNT, STORE, make_store
from tests.bench.machine import postgres_cpu
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, transform
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.members import count_members
from xeno_pipeline.segments.registry import save_segment
from xeno_pipeline.segments.starters import STARTERS
from xeno_pipeline.settings import Settings

QUERIES = (
    *(starter.query for starter in STARTERS),
    "number_of_orders >= 5",
    "number_of_orders BETWEEN 2 AND 4 AND net_sales > 300",
    "amount_spent > 1000",
    "amount_spent < 50 AND number_of_orders = 1",
    "last_order_date < -90d",
    "last_order_date >= -30d AND number_of_orders > 1",
    "first_order_date >= -12m",
    "customer_added_date >= -90d AND number_of_orders = 0",
    "customer_countries CONTAINS 'DE' AND rfm_segment = 'LOYAL'",
    "customer_email_domain = 'example.com' AND number_of_orders >= 3",
    "number_of_orders >= 5 AND (last_order_date < -90d OR rfm_group = 'AT_RISK')",
    "products_purchased NOT MATCHES (date >= -12m) AND number_of_orders > 0",
    "products_purchased MATCHES (id = 7)",
    "orders_placed MATCHES (date >= -90d, count > 2)",
    "orders_placed MATCHES (amount > 150) AND rfm_segment != 'LOST'",
)
"""Twenty: by figures, by dates, and by what was bought."""

_CHANGED = 10
_ROUNDS = 9
_CHANGE = """
    with customers as (
        select customer_id from intermediate.int_customers
        where tenant_id = %(store)s and orders_count > 0
        order by hashint8extended(customer_id, %(salt)s) limit %(changed)s
    ),
    changed as (
        update marts.fct_orders orders
        set net_sales = orders.net_sales + 1, total_sales = orders.total_sales + 1
        from customers
        where orders.tenant_id = %(store)s and orders.customer_id = customers.customer_id
    )
    insert into stale.customers select %(store)s, customer_id from customers
    on conflict do nothing
    """


def run(folder: Path, customers: int = CUSTOMERS_COUNT, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and a store of the benchmark's own.
        customers: of the store.
        rounds: transforms of which the figures are medians.

    Returns:
        `preview_ms`, the slowest of twenty queries; `twenty_new_seconds`, a transform that determines the members of
        twenty new segments; and `on_top_cpu_ms`, what these twenty add to a transform after ten changed customers, as
        the difference of the medians with them and without any, in milliseconds of CPU, the database's included: by
        the clock, two transforms differ by more than that.
    """
    settings = Settings(home=folder / "home", database_url=None)
    try:
        database = open_migrated(settings)
        make_store(database, settings, customers)
        return measure(database, DbtProject(settings), lambda: postgres_cpu(settings.home), rounds)
    finally:
        EmbeddedServer(settings.home).stop()


def measure(
    database: Database, project: DbtProject, database_cpu: Callable[[], float], rounds: int
) -> dict[str, float]:
    """The figures of a database that has the store, and no segments.

    Args:
        database_cpu: CPU seconds that the database has used so far.
        rounds: transforms of which the figures are medians.
    """
    salts = count()

    def cpu_after_a_change() -> float:
        with database.connect() as connection:
            connection.execute(_CHANGE, {"store": STORE, "salt": next(salts), "changed": _CHANGED})
        before = time.process_time() + database_cpu()
        _transform(database, project)
        return time.process_time() + database_cpu() - before

    previews = [_preview_seconds(database, query) for query in QUERIES]
    without = median(cpu_after_a_change() for _ in range(rounds))
    with database.connect() as connection:
        for number, query in enumerate(QUERIES):
            save_segment(connection, STORE, f"Segment {number}", query)
    twenty_new = _seconds(lambda: _transform(database, project))
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")
    beside = median(cpu_after_a_change() for _ in range(rounds))
    return {
        "preview_ms": 1000 * max(previews),
        "twenty_new_seconds": twenty_new,
        "on_top_cpu_ms": 1000 * (beside - without),
        "without_segments_cpu_ms": 1000 * without,
    }


def _preview_seconds(database: Database, query: str) -> float:
    compiled = compile_query(query)
    with database.connect() as connection:
        connection.execute("set search_path = marts")
        return _seconds(lambda: count_members(connection, STORE, compiled))


def _transform(database: Database, project: DbtProject) -> None:
    assert not transform(database, project, TransformRequest([STORE], only_due=False)).failures


def _seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started
