"""How quickly the API answers about a store of 200,000 customers, with 8 clients at once.

The rows of orders and sales are made in SQL; what stands on them is built by a transform, as ever. The server is
`xeno insights serve` in a process of its own, its clients are in another, and each request is one after another.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from xeno_pipeline.access.grants import make_key
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.insights.customers import CUSTOMERS
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.settings import Settings

STORE = "large"
CUSTOMERS_COUNT = 200_000
_ORDERS_FOR_TEN = 22
"""Orders for ten customers."""
_DAYS = 1_000
_CLIENTS = 8
_SECONDS = 1.5

_FILL = (
    """
    insert into ops.tenants
        (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
    values (%(store)s, '1', 'large.myshopify.com', '', 'Large', 'EUR', 'Europe/Berlin', 'Plus', '{}')
    """,
    """
    insert into raw.customers
        (tenant_id, id, updated_at, created_at, email, first_name, last_name, country_code, number_of_orders,
         query_version, payload)
    select
        %(store)s, n, now(), now() - mod(n * 7919, 1000) * interval '1 day', n || '@example.com', 'First' || n,
        'Last' || mod(n, 5000), 'DE', 2, 1, '{}'
    from generate_series(1, %(customers)s) n
    """,
    """
    create temporary table placed as
    select *, row_number() over (partition by customer_id order by ordered_on, n) as number,
        lag(ordered_on) over (partition by customer_id order by ordered_on, n) as previous_on
    from (
        select
            n,
            case when mod(n, 20) > 0 then 1 + (%(customers)s * power(random(), 1.5))::bigint end as customer_id,
            current_date - (%(days)s * random())::integer as ordered_on,
            (5 + 200 * random() * random())::numeric(20, 2) as amount
        from generate_series(1, %(orders)s) n
    ) orders
    """,
    """
    insert into marts.fct_orders (
        tenant_id, order_id, order_name, customer_id, ordered_at, ordered_on, currency, presentment_currency,
        financial_status, is_counted, customer_order_number, is_first_order, country_code, tags, discount_codes,
        line_count, units, gross_sales, discounts, returns, net_sales, shipping, taxes, duties_and_fees, total_sales,
        tips, ordered_sales, ordered_total, is_first_of_day, is_first_of_week, is_first_of_month, is_first_of_quarter,
        is_first_of_year, is_redated, is_in_other_currency
    )
    select
        %(store)s, n, '#' || n, customer_id, ordered_on + time '12:00', ordered_on, 'EUR', 'EUR', 'PAID', true,
        case when customer_id is not null then number end, customer_id is not null and number = 1, 'DE', '{}', '{}',
        1, 1, amount, 0, 0, amount, 5, 0, 0, amount + 5, 0, amount, amount + 5,
        customer_id is not null and previous_on is distinct from ordered_on,
        customer_id is not null and coalesce(date_trunc('week', previous_on::timestamp)
            < date_trunc('week', ordered_on::timestamp), true),
        customer_id is not null and coalesce(date_trunc('month', previous_on::timestamp)
            < date_trunc('month', ordered_on::timestamp), true),
        customer_id is not null and coalesce(date_trunc('quarter', previous_on::timestamp)
            < date_trunc('quarter', ordered_on::timestamp), true),
        customer_id is not null and coalesce(date_trunc('year', previous_on::timestamp)
            < date_trunc('year', ordered_on::timestamp), true),
        false, false
    from placed
    """,
    """
    insert into marts.fct_sales (
        tenant_id, sale_id, order_id, customer_id, happened_at, happened_on, reason, action_type, line_type, quantity,
        units, gross_sales, discounts, returns, net_sales, shipping, taxes, duties_and_fees, total_sales, tips,
        is_counted, product_id, variant_id, happened_month, is_first_of_product, is_known, is_redated
    )
    select
        %(store)s, 'gid://shopify/ProductSale/' || n, n, customer_id, ordered_on + time '12:00', ordered_on, 'ORDER',
        'ORDER', 'PRODUCT', 1, 1, amount, 0, 0, amount, 5, 0, 0, amount + 5, 0, true, mod(n, 800), mod(n, 800),
        date_trunc('month', ordered_on::timestamp)::date, true, true, false
    from placed
    """,
    "insert into stale.customers select %(store)s, n from generate_series(1, %(customers)s + 1) n",
    "insert into stale.days select distinct %(store)s, ordered_on from placed",
    "insert into stale.product_months select distinct tenant_id, product_id, happened_month from marts.fct_sales",
    "insert into stale.tenants values (%(store)s)",
    # Were they not known, all of its marts would be stale, and orders that are not in raw would go.
    """
    insert into ops.tenant_marts
        (tenant_id, as_of_date, transformed_at, project_version, iana_timezone, currency, has_history)
    select tenant_id, ops.local_time(now(), iana_timezone)::date, now(), %(version)s, iana_timezone, currency, true
    from ops.tenants
    """,
)


def run(folder: Path, customers: int = CUSTOMERS_COUNT, seconds: float = _SECONDS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and a store of the benchmark's own.
        customers: of the store.
        seconds: of each measurement.

    Returns:
        The 95th percentile of milliseconds of each answer with 8 clients at once: at most 150; of those that have
        not changed (`304`) at most 5. `cold_…`: of the first answer, after a transform.
    """
    settings = Settings(home=folder / "home", database_url=None)
    try:
        database = open_migrated(settings)
        make_store(database, settings, customers)
        with database.connect() as connection:
            key = make_key(connection, "bench", None, (Scope.READ, Scope.PEOPLE))
        with serving(settings) as port:
            return measure(database, port, key, seconds)
    finally:
        EmbeddedServer(settings.home).stop()


def make_store(database: Database, settings: Settings, customers: int) -> None:
    """The store, with so many customers and its marts."""
    project = DbtProject(settings)
    make_relations(database, project)
    with database.connect() as connection:
        fill(connection, project.version, customers)
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")
    assert not transform(database, project, TransformRequest([STORE])).failures
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")
        orders = "select count(*) from marts.fct_orders"
        assert connection.execute(orders).fetchone() == (customers * _ORDERS_FOR_TEN // 10,)


def fill(connection: Connection, version: str, customers: int) -> None:
    """The rows of the store's customers, orders and sales; what is made from them is stale.

    Args:
        version: of the dbt project.
        customers: how many.
    """
    bound = {
        "store": STORE,
        "customers": customers,
        "days": _DAYS,
        "orders": customers * _ORDERS_FOR_TEN // 10,
        "version": version,
    }
    for statement in _FILL:
        connection.execute(statement, bound)


@contextmanager
def serving(settings: Settings) -> Iterator[int]:
    """`xeno insights serve`, for the length of a `with`; its port."""
    log = settings.home / "insights.log"
    command = [sys.executable, "-m", "xeno_pipeline.cli", "insights", "serve", "--port", "0"]
    environment = {**os.environ, "XENO_HOME": str(settings.home), "XENO_INSIGHTS_REQUESTS_PER_MINUTE": "1000000"}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        while not (lines := [line for line in log.read_text().splitlines() if "listening" in line]):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield json.loads(lines[0])["port"]
    finally:
        process.terminate()
        process.wait()


def measure(database: Database, port: int, key: str, seconds: float) -> dict[str, float]:
    """The figures, each of what was asked in so many seconds."""
    figures: dict[str, float] = {}
    for name, address in addresses(database).items():
        first, headers = asyncio.run(_ask_once(port, key, address))
        figures[f"cold_{name}"] = 1000 * first
        figures[name] = _p95(port, key, address, {}, 200, seconds)
        figures[f"304_{name}"] = _p95(port, key, address, {"If-None-Match": headers["etag"]}, 304, seconds)
    return figures


def ask_all(database: Database, port: int, key: str) -> None:
    """Ask everything once that is measured."""
    for address in addresses(database).values():
        asyncio.run(_ask_once(port, key, address))


def addresses(database: Database) -> dict[str, str]:
    """What is asked about the store, by name."""
    with database.connect() as connection:
        query = """
            select customer_id from intermediate.int_customers
            where tenant_id = %s order by orders_count desc limit 1
            """
        ((customer,),) = connection.execute(query, [STORE]).fetchall()
    paths = {
        "overview": "overview",
        "sales": "sales?grain=month&from=2020-01-01",
        "rfm": "rfm",
        "cohorts": "cohorts",
        **{f"customers_{sort}": f"customers?sort={sort}" for sort in CUSTOMERS.sort_names()},
        "timeline": f"customers/{customer}/timeline",
        "orders": "orders",
    }
    return {name: f"/api/v1/stores/{STORE}/{path}" for name, path in paths.items()}


def _p95(port: int, key: str, address: str, headers: Mapping[str, str], status: int, seconds: float) -> float:
    """The 95th percentile of milliseconds, with 8 clients at once."""
    took = asyncio.run(_ask_side_by_side(port, key, address, headers, status, seconds))
    return 1000 * quantiles(took, n=20)[18]


async def _ask_side_by_side(
    port: int, key: str, address: str, headers: Mapping[str, str], status: int, seconds: float
) -> list[float]:
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        connection = await asyncio.open_connection("127.0.0.1", port)
        answered_at = 0.0
        while answered_at < end:  # once at least
            started = time.perf_counter()
            answered, _ = await _ask(*connection, key, address, headers)
            assert answered == status, f"{address}: answered {answered}"
            answered_at = time.perf_counter()
            took.append(answered_at - started)
        connection[1].close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return took


async def _ask_once(port: int, key: str, address: str) -> tuple[float, dict[str, str]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.perf_counter()
    status, headers = await _ask(reader, writer, key, address, {})
    assert status == 200, f"{address}: answered {status}"
    writer.close()
    return time.perf_counter() - started, headers


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, address: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Ask over a connection; by hand, for an HTTP library would be what is measured."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    answered = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    await reader.readexactly(int(answered.get("content-length", "0")))
    return int(head[0].split(" ", 2)[1]), answered
