"""Which indexes are read by what an installation does and is asked, and how large each is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from tests.bench.bi import of_tenant, read_queries
from tests.bench.insights import ask_all, serving
from tests.bench.machine import Machine
from tests.bench.segments import QUERIES
from xeno_pipeline.access.grants import make_key
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.extraction.reconciliation import reconcile_tenants
from xeno_pipeline.extraction.stream_reconciliation import ReconcileOptions
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, transform
from xeno_pipeline.monitoring.checks import ALERT_CHECKS, evaluate
from xeno_pipeline.privacy.exports import customer_rows
from xeno_pipeline.privacy.processing import erase_tenant
from xeno_pipeline.privacy.requests import PrivacyRequest
from xeno_pipeline.raw.redaction import redact_customer
from xeno_pipeline.segments.registry import save_segment
from xeno_pipeline.shopify.privacy import DATA_REQUEST
from xeno_pipeline.tenants.credentials import load_key_ring

STORE, OTHER = "large", "small"

_INDEXES = """
    select
        stats.schemaname || '.' || stats.relname || ' ' ||
            substring(pg_get_indexdef(stats.indexrelid) from ' USING \\w+ (.*)$'),
        pg_relation_size(stats.indexrelid), stats.idx_scan
    from pg_stat_user_indexes stats
    where stats.schemaname in ('raw', 'intermediate', 'marts')
    order by 2 desc, 1
    """


@dataclass(frozen=True)
class Index:
    """An index.

    Args:
        bytes: on disk.
        scans: how often it was read since its server's statistics began. That a unique one keeps keys apart does not
            count.
    """

    bytes: int
    scans: int


def indexes(database: Database) -> dict[str, Index]:
    """Those of raw, intermediate and marts by table and columns, the largest first; empty ones are left out."""
    with database.connect() as connection:
        found = connection.execute(_INDEXES).fetchall()
    return {name: Index(size, scans) for name, size, scans in found if size > 8192 * 2}


def use_everything(bench: Machine, project: DbtProject) -> None:
    """Do once whatever an installation does with a store that has its marts, and ask what people ask.

    The store `small` is removed by that.
    """
    syncer = Syncer(bench.database, load_key_ring(bench.settings), bench.settings.home / "spool")
    store = bench.sandbox.control.store(STORE)
    changes: list[Callable[[], object]] = [
        *(store.place_order, store.refund, store.edit_order, store.update_order, store.cancel_order),
        *(store.delete_order, store.update_customer, store.update_product, store.start_checkout),
    ]
    for change in changes:
        change()
    tenants = [tenant for tenant in bench.tenants if tenant.tenant_id == STORE]
    with bench.database.connect() as connection:
        for number, query in enumerate(QUERIES):
            save_segment(connection, STORE, f"Segment {number}", query)
    bench.succeed(syncer.sync_tenants(tenants, SyncRequest()))
    _transform(bench.database, project)
    bench.succeed(reconcile_tenants(syncer, tenants, ReconcileOptions(full=True)))
    _transform(bench.database, project)
    _ask(bench)
    with bench.database.connect() as connection:
        for check in ALERT_CHECKS:
            evaluate(connection, bench.settings, check)
    with bench.database.connect() as connection:
        _erase_customer(connection)
    _transform(bench.database, project)
    with bench.database.connect() as connection:
        erase_tenant(connection, bench.settings.exports_folder, OTHER, "a benchmark")


def _transform(database: Database, project: DbtProject) -> None:
    report = transform(database, project, TransformRequest([STORE], only_due=False, test=True, refit=True))
    assert not report.failures


def _ask(bench: Machine) -> None:
    """What BI tools ask, as the tenant and as the owner, and what the API is asked."""
    role = grant_bi_role(bench.database, STORE).name
    url = bench.database.url
    with psycopg.connect(url, user=role) as tenant, psycopg.connect(url) as owner:
        for query in read_queries().values():
            tenant.execute(query).fetchall()
            owner.execute(of_tenant(query, STORE)).fetchall()
    with bench.database.connect() as connection:
        key = make_key(connection, "bench", None, (Scope.READ, Scope.PEOPLE))
    with serving(bench.settings) as port:
        ask_all(bench.database, port, key)


def _erase_customer(connection: Connection) -> None:
    """Export what is held of a customer, and redact it."""
    query = "select customer_id from raw.orders where tenant_id = %s and customer_id is not null limit 1"
    ((customer,),) = connection.execute(query, [STORE]).fetchall()
    now = datetime.now(UTC)
    request = PrivacyRequest(
        id=1,
        tenant_id=STORE,
        shop_domain="",
        kind=DATA_REQUEST,
        customer_id=customer,
        order_ids=(),
        received_at=now,
        deadline_at=now,
        attempts=0,
        error=None,
        outcome=None,
        done_at=None,
        export_file=None,
    )
    assert customer_rows(connection, request)
    assert redact_customer(connection, STORE, customer)
