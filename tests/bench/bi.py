"""What a tenant's BI tool waits beside the owner, in a database of twenty tenants, one of them large.

Row-level security lets an index be used only by operators that PostgreSQL calls leakproof, and the owner is under none:
each query of `bi_queries.sql` is timed as the tenant's role, and as the owner who says which tenant.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psycopg

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.extraction.report import StreamFailure, no_progress
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import connect_store

LARGE = "large"
_OTHERS = tuple(f"shop-{number:02}" for number in range(19))
_ORDERS_OF_OTHERS = 500
_ROUNDS = 9
_QUERIES = Path(__file__).with_name("bi_queries.sql")
_AT_LEAST_SECONDS = 0.002
"""Below it, what is measured is the connection."""


def run(folder: Path, orders: int = 50_000) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        orders: of the large tenant.

    Returns:
        For each query the tenant's milliseconds and its ratio to the owner's (1.5 is the most), and the worst ratio.
    """
    with installation(folder, orders) as database:
        return measure(database)


def read_queries() -> dict[str, str]:
    """The queries of the file, by name."""
    parts = re.split(r"^-- (.+)$", _QUERIES.read_text(), flags=re.MULTILINE)[3:]
    return {name: query.strip().rstrip(";") for name, query in zip(parts[::2], parts[1::2], strict=True)}


def measure(database: Database) -> dict[str, float]:
    """The figures of a database that has the large tenant."""
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")
    role = grant_bi_role(database, LARGE).name
    figures: dict[str, float] = {}
    with psycopg.connect(database.url, user=role) as tenant, psycopg.connect(database.url) as owner:
        for name, query in read_queries().items():
            as_tenant, as_owner = _time((tenant, query), (owner, of_tenant(query, LARGE)))
            figures[f"{name}_ms"] = 1000 * as_tenant
            figures[name] = max(as_tenant, _AT_LEAST_SECONDS) / max(as_owner, _AT_LEAST_SECONDS)
    return {"worst": max(figures[name] for name in read_queries()), **figures}


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


@contextmanager
def installation(folder: Path, orders: int) -> Iterator[Database]:
    """Twenty stores, read and transformed."""
    settings = Settings(home=folder / "home", database_url=None)
    sizes = {LARGE: orders, **dict.fromkeys(_OTHERS, _ORDERS_OF_OTHERS)}
    with ExitStack() as stack:
        stack.callback(EmbeddedServer(settings.home).stop)
        database, project, ring = open_migrated(settings), DbtProject(settings), load_key_ring(settings)
        make_relations(database, project)
        specs = [StoreSpec(handle, orders=count, plan="Enterprise") for handle, count in sizes.items()]
        with SandboxProcess(specs, folder / "sandbox") as sandbox:
            tenants = [
                connect_store(database, ring, handle=handle, api_url=f"{sandbox.url}/{handle}", token=DEFAULT_TOKEN)
                for handle in sizes
            ]
            results = Syncer(database, ring, settings.home / "spool", no_progress).sync_tenants(tenants, SyncRequest())
        assert not [result for result in results if isinstance(result, StreamFailure)]
        assert not transform(database, project, TransformRequest(list(sizes))).failures
        yield database
