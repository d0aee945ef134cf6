"""What an export costs beside psql's COPY of the same table, and how much memory it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer, program
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings

ORDERS = 850_000
TENANT = "large"
_ROUNDS = 5
_ROWS = """
    insert into marts.fct_orders (
        tenant_id, order_id, order_name, customer_id, ordered_at, ordered_on, currency, financial_status, is_counted,
        is_first_order, source_name, country_code, tags, discount_codes, line_count, units, gross_sales, discounts,
        returns, net_sales, shipping, taxes, duties_and_fees, total_sales, tips, checkout_token, is_redated,
        is_in_other_currency
    )
    select
        %(tenant)s, 5000000000000 + n, '#' || n, 7000000000000 + n * 7919 %% 200000, at, at::date, 'EUR', 'PAID', true,
        false, 'web', 'DE', case when n %% 4 = 0 then '{vip,"a \\"b\\""}'::text[] else '{}' end, '{}', 2, 3,
        n %% 10000 / 100.0, -1.25, 0, n %% 10000 / 100.0 - 1.25, 4.9, 1.1, 0, n %% 10000 / 100.0 + 4.75, 0,
        md5(n::text), false, false
    from (
        select n, timestamptz '2024-01-01' + n * interval '67 seconds' as at
        from generate_series(1::bigint, %(orders)s) n
    ) orders
    """


def run(folder: Path, orders: int = ORDERS, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server of the benchmark's own.
        orders: of the tenant.
        rounds: of which the figures are medians.

    Returns:
        `csv_over_psql` and `parquet_over_psql` (1.3 is the most), the seconds that they are made of, and the greatest
        memory of the exporting processes: `csv_mebibytes` (100 is the most), `parquet_mebibytes` (300 is the most).
    """
    settings = Settings(home=folder / "home", database_url=None)
    with ExitStack() as stack:
        stack.callback(EmbeddedServer(settings.home).stop)
        database = open_migrated(settings)
        make_relations(database, DbtProject(settings))
        _fill(database, orders)
        taken = [_measure(database, folder) for _ in range(rounds + 1)][1:]  # the first one warms the caches
    figures = {name: median(each[name] for each in taken) for name in taken[0]}
    return {
        "csv_over_psql": figures["csv_seconds"] / figures["psql_seconds"],
        "parquet_over_psql": figures["parquet_seconds"] / figures["psql_seconds"],
        **figures,
    }


def _fill(database: Database, orders: int) -> None:
    """A tenant with as many orders, as wide as those of a store."""
    with database.connect() as connection:
        connection.execute(
            """
            insert into ops.tenants
                (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
            values (%(tenant)s, '', '', '', '', 'EUR', 'UTC', '', '{}')
            """,
            {"tenant": TENANT},
        )
        connection.execute(_ROWS, {"tenant": TENANT, "orders": orders})
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum (analyze) marts.fct_orders")


def _measure(database: Database, folder: Path) -> dict[str, float]:
    figures = {"psql_seconds": _by_psql(database, folder / "psql.csv")}
    for file_format in ("csv", "parquet"):
        exported = _by_export(database, file_format, folder / f"orders.{file_format}")
        figures[f"{file_format}_seconds"] = exported["seconds"]
        figures[f"{file_format}_mebibytes"] = exported["mebibytes"]
    return figures


def _by_psql(database: Database, file: Path) -> float:
    """Seconds of psql's COPY of the same rows to a file."""
    copy = f"copy (select * from marts.fct_orders where tenant_id = '{TENANT}') to stdout with (format csv, header)"
    started = time.perf_counter()
    with file.open("wb") as output:
        subprocess.run([str(program("psql")), database.url, "-qXc", copy], stdout=output, check=True)
    return time.perf_counter() - started


def _by_export(database: Database, file_format: str, file: Path) -> Mapping[str, float]:
    command = [sys.executable, "-m", "tests.bench.export_once", database.url, TENANT, file_format, str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=dict(os.environ), check=True)
    figures: Mapping[str, float] = json.loads(done.stdout)
    return figures
