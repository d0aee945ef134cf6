"""What a tenant's BI tool waits beside the owner, in a database of twenty tenants, one of them large.

Row-level security lets an index be used only by operators that PostgreSQL calls leakproof, and the owner is under none:
each query of `bi_queries.sql` is timed as the tenant's role, and as the owner who says which tenant; those of
`bi_views.sql` by themselves.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import psycopg

from tests.bench.machine import stores_in_raw
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.marts.transform import TransformRequest, transform

LARGE = "large"
_OTHERS = tuple(f"shop-{number:02}" for number in range(19))
_ORDERS_OF_OTHERS = 500
_ROUNDS = 9
QUERIES, VIEWS = (Path(__file__).with_name(name) for name in ("bi_queries.sql", "bi_views.sql"))
_AT_LEAST_SECONDS = 0.002
"""Below it, what is measured is the connection."""


def run(folder: Path, orders: int = 50_000, others: Sequence[str] = _OTHERS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        orders: of the large tenant.
        others: the tenants beside it, of 500 orders each.

    Returns:
        For each query the tenant's milliseconds and its ratio to the owner's (1.5 is the most), and the worst ratio;
        and the tenant's milliseconds for what is asked of the views of `bi_views.sql` (100 is the most).
    """
    sizes = {LARGE: orders, **dict.fromkeys(others, _ORDERS_OF_OTHERS)}
    with stores_in_raw(folder, sizes) as (database, project):
        assert not transform(database, project, TransformRequest(list(sizes))).failures
        return measure(database)


def read_queries(file: Path = QUERIES) -> dict[str, str]:
    """The queries of a file, by name."""
    parts = re.split(r"^-- (.+)$", file.read_text(), flags=re.MULTILINE)[3:]
    return {name: query.strip().rstrip(";") for name, query in zip(parts[::2], parts[1::2], strict=True)}


def measure(database: Database) -> dict[str, float]:
    """The figures of a database that has the large tenant."""
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")
    role = grant_bi_role(database, LARGE).name
    figures: dict[str, float] = {}
    ratios = read_queries()
    with psycopg.connect(database.url, user=role) as tenant, psycopg.connect(database.url) as owner:
        for name, query in (ratios | read_queries(VIEWS)).items():
            as_tenant, as_owner = _time((tenant, query), (owner, of_tenant(query, LARGE)))
            figures[f"{name}_ms"] = 1000 * as_tenant
            if name in ratios:
                figures[name] = max(as_tenant, _AT_LEAST_SECONDS) / max(as_owner, _AT_LEAST_SECONDS)
    return {"worst": max(figures[name] for name in ratios), **figures}


def of_tenant(query: str, tenant_id: str) -> str:
    """A query as the owner has to write it, who sees all tenants."""
    return re.sub(r"\bmarts\.(\w+)", rf"(select * from marts.\1 where tenant_id = '{tenant_id}')", query)


def _time(*queries: tuple[psycopg.Connection, str]) -> list[float]:
    """The median of seconds of each query, warm, in turn: whatever else happens on the machine hits all of them."""
    took: list[list[float]] = [[] for _ in queries]
    for _ in range(1 + _ROUNDS):
        for times, (connection, query) in zip(took, queries, strict=True):
            started = time.perf_counter()
            connection.execute(query).fetchall()
            times.append(time.perf_counter() - started)
    return [median(times[1:]) for times in took]
