"""What predictions cost: the weekly fit of many small stores, that of a million customers, and to read what follows.

Customers buy as the models say. The rows that a fit and the predictions stand on are made in SQL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg

from shopify_sandbox.buyers import Buyers
from tests.bench.machine import postgres_cpu
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.predictions.refit import refit
from xeno_pipeline.settings import Settings

LARGE = "large"
SMALL = "small"
"""What the handles of the small stores begin with."""

CUSTOMERS = 1_000_000
STORES = 1_000
_DAYS = 1_000
_CUSTOMERS_FOR_200_ORDERS = 75
_ROUNDS = 5

_FILL = (
    "create temporary table placed (tenant_id text, customer_id bigint, ordered_on date, amount numeric(20, 2))",
    """
    insert into ops.tenants
        (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
    select tenant_id, tenant_id, tenant_id, '', '', 'EUR', 'UTC', '', '{}' from placed group by tenant_id
    """,
    """
    insert into intermediate.int_tenant_figures (tenant_id, as_of_date)
    select distinct tenant_id, %(today)s::date from placed
    """,
    """
    insert into marts.fct_orders
        (tenant_id, order_id, customer_id, ordered_on, is_counted, is_in_other_currency, ordered_sales)
    select tenant_id, row_number() over (), customer_id, ordered_on, true, false, amount from placed
    """,
    """
    insert into marts.fct_sales (tenant_id, sale_id, customer_id, happened_on, net_sales)
    select tenant_id, row_number() over (), customer_id, ordered_on, amount from placed
    """,
    """
    insert into intermediate.int_daily_sales (tenant_id, date_day, ordered_sales, net_sales)
    select tenant_id, ordered_on, sum(amount), sum(amount) from placed group by tenant_id, ordered_on
    """,
    """
    insert into intermediate.int_customers (
        tenant_id, customer_id, has_profile, email, first_name, last_name, country_code, first_order_on, last_order_on,
        orders_count, priced_orders, ordered_sales, net_sales, all_orders, order_days, valued_repeats, repeat_sales
    )
    select
        tenant_id, customer_id, true, customer_id || '@example.com', 'First' || customer_id %% 5000,
        'Last' || customer_id, 'DE', min(ordered_on), max(ordered_on), count(*), count(*), sum(amount), sum(amount),
        count(*), count(*), count(*) - 1, coalesce(sum(amount) filter (where ordered_on > first_on), 0)
    from (select *, min(ordered_on) over (partition by tenant_id, customer_id) as first_on from placed) orders
    group by tenant_id, customer_id
    """,
    "drop table placed",
)

_HUNDRED = """
    select customer_id, expected_net_sales_365d from marts.customer_predictions where tenant_id = 'large'
    order by expected_net_sales_365d desc nulls last limit 100
    """
_ONE = "select * from marts.customer_predictions where tenant_id = 'large' and customer_id = 777"
_PLAIN = "select sum(repeat_sales), max(last_order_on) from intermediate.int_customers where tenant_id = 'large'"


def run(folder: Path, customers: int = CUSTOMERS, stores: int = STORES) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server of the benchmark's own.
        customers: of the large store.
        stores: how many small ones there are beside it.

    Returns:
        CPU seconds, the database's included, of the fit of a small store and of the large one; milliseconds that one
        customer takes; seconds of the hundred most valuable customers for the owner and for the tenant's BI tool, and
        as a multiple of a query that reads each customer of the store.
    """
    settings = Settings(home=folder / "home", database_url=None)
    with ExitStack() as stack:
        stack.callback(EmbeddedServer(settings.home).stop)
        database = open_migrated(settings)
        make_relations(database, DbtProject(settings))
        handles = [f"{SMALL}-{number:04}" for number in range(stores)]
        fill(database, {LARGE: customers, **dict.fromkeys(handles, _CUSTOMERS_FOR_200_ORDERS)})
        return measure(database, lambda: postgres_cpu(settings.home), handles)


def fill(database: Database, customers: dict[str, int]) -> None:
    """Tenants with so many customers each, and what their fits stand on, as a transform of today leaves it."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=_DAYS)
    with database.connect() as connection:
        connection.execute(_FILL[0])
        with connection.cursor().copy("copy placed from stdin") as copy:
            for handle, count in customers.items():
                for customer, orders in enumerate(Buyers(count, _DAYS).draw(handle), 1):
                    for day, value in orders:
                        copy.write_row((handle, customer, first + timedelta(days=day), f"{value:.2f}"))
        for statement in _FILL[1:]:
            connection.execute(statement, {"today": today})
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")


def measure(database: Database, database_cpu: Callable[[], float], small: Sequence[str]) -> dict[str, float]:
    """The figures of a database that has these stores and the large one.

    Args:
        database_cpu: CPU seconds that the database has used so far.
    """

    def cpu_of_fit(handles: Sequence[str]) -> float:
        before = time.process_time() + database_cpu()
        report = refit(database, handles)
        assert len(report.fitted) == len(handles), report.failures.reasons
        return time.process_time() + database_cpu() - before

    figures = {"fit_cpu_seconds_a_small_store": cpu_of_fit(small) / len(small), "fit_cpu_seconds": cpu_of_fit([LARGE])}
    with database.connect(autocommit=True) as connection:
        # Whatever the backtests found, figures are to be computed.
        connection.execute(
            "update intermediate.prediction_fits set worst_orders_error = 0, auc = 1, auc_recency = 0, brier_skill = 1"
        )
        connection.execute("vacuum analyze intermediate.prediction_curves")
    role = grant_bi_role(database, LARGE).name
    with (
        psycopg.connect(database.url) as owner,
        psycopg.connect(database.url, user=role) as tenant,
    ):
        plain, hundred, tenants_hundred = _seconds(owner, _PLAIN), _seconds(owner, _HUNDRED), _seconds(tenant, _HUNDRED)
        return figures | {
            "one_customer_ms": 1000 * _seconds(owner, _ONE),
            "hundred_most_valuable_seconds": hundred,
            "hundred_most_valuable_as_tenant_seconds": tenants_hundred,
            "hundred_over_plain_reading": hundred / plain,
        }


def _seconds(connection: Connection, query: str) -> float:
    """The median of a query's seconds, warm."""
    took = []
    for _ in range(1 + _ROUNDS):
        started = time.perf_counter()
        assert connection.execute(query).fetchone() is not None
        took.append(time.perf_counter() - started)
    return median(took[1:])
