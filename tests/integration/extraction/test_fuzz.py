"""Records with something wrong in them, between good ones, by bulk, page and event, into a real database.

Whatever is wrong, no stream stands still, the good ones land as they would have alone, and of the others each is in raw
whole, or is named as set aside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.events import read
from tests.support.installation import Installation, Shop
from tests.support.record_mutations import Record, renumbered, spoilt
from tests.support.scripted_store import PoisonStore, poison_store
from xeno_pipeline.extraction.report import StreamReport, no_progress
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS, Stream
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import RowMapping, flatten
from xeno_pipeline.raw.tables import tree
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.pagination import Pager
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.grants import Grant, store_grant
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_CHILDREN = ("lineItems", "agreements", "sales", "variants")
_NESTED = {"refunds": "refunds", "transactions": "order_transactions", "fulfillments": "fulfillments"}
_TABLE_OF = {"variants": "product_variants", "agreements": "order_agreements", "sales": "order_sales"}


@dataclass(frozen=True)
class Fuzzed:
    """One load of good records and spoilt ones.

    Args:
        installation: where they are loaded.
        store: where they are read.
        stream: of what kind they are.
        tenant: whose they are.
        good: as pages show them, whole.
        bad: by the gid that they had before, as they are shown.
    """

    installation: Installation
    store: PoisonStore
    stream: Stream
    tenant: Tenant
    good: Sequence[Record]
    bad: dict[str, Any] = field(default_factory=dict)

    def by_bulk(self, rng: random.Random) -> StreamReport:
        lines = [line for record in self.good for line in flatten([deepcopy(record)])]
        for record in list(self.bad.values()):
            of_record = list(flatten([deepcopy(record)]))
            index = rng.randrange(len(of_record))
            of_record[index] = spoilt(of_record[index], rng)
            lines += of_record
            self.bad[record["id"]] = None  # in pieces
        if rng.random() < 0.5:
            self._load(self.tenant.tenant_id, self.good[:1])  # what follows is merged, not copied
        rng.shuffle(lines)
        self.store.lines, self.store.roots = lines, len(self.good) + len(self.bad)
        return self._sync()

    def by_page(self, rng: random.Random) -> StreamReport:
        self._spoil(rng)
        self._history_is_in()
        self.store.objects = [*map(_connected, self.good), *self.bad.values()]
        rng.shuffle(self.store.objects)
        return self._sync()

    def by_event(self, rng: random.Random) -> StreamReport:
        self._spoil(rng)
        self._history_is_in()
        self.store.asked_for = self.bad | {record["id"]: _connected(record) for record in self.good}
        with self.installation.database.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                """
                insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, read_gid, changed_at)
                values (%s, %s, 'x/update', %s, %s, '2000-01-01Z')
                """,
                [(self.tenant.tenant_id, gid, self.stream.name, gid) for gid in self.store.asked_for],
            )
        (report,) = read(self.installation, self.tenant)
        assert isinstance(report, StreamReport), report
        waiting = "select count(*) from ops.webhook_inbox where tenant_id = %s and done_at is null"
        assert self.installation.value(waiting, self.tenant.tenant_id) == 0
        return report

    def check(self, report: StreamReport) -> tuple[int, int]:
        """Check what became of it. Returns how many spoilt records are in raw, and how many are set aside."""
        in_raw = self._rows(self.tenant.tenant_id)
        assert in_raw == self._alone(), "the good ones are as they would be alone"
        listed = dict(
            self.installation.query("select gid, reason from ops.set_aside where tenant_id = %s", self.tenant.tenant_id)
        )
        lost = "" in listed
        assert not listed.keys() & {record["id"] for record in self.good}
        assert not [reason for reason in listed.values() if "refused by PostgreSQL" in reason], listed
        assert all(len(reason) < 120 for reason in listed.values()), "a reason quotes no value"
        landed = {f"gid://shopify/{self.stream.kind}/{id_}" for id_ in self._ids()}
        unnamed = self.bad.keys() - landed - listed.keys()
        assert not unnamed or lost, unnamed
        assert not self.bad.keys() & landed & listed.keys()
        for gid in self.bad.keys() & landed:
            if self.bad[gid] is not None:
                self._check_whole(gid, self.bad[gid])
        cursor = self.installation.value(
            "select cursor_at from ops.sync_state where tenant_id = %s and stream = %s",
            *(self.tenant.tenant_id, self.stream.name),
        )
        assert cursor >= BEFORE
        if report.mode != "events":
            assert cursor > BEFORE
            assert cursor < datetime.now(UTC) + timedelta(days=367)
        return len(self.bad.keys() & landed), len(listed.keys() - {""})

    def _sync(self) -> StreamReport:
        client = ShopifyClient(
            tenant=self.tenant.tenant_id, api_url=self.store.url, token=DEFAULT_TOKEN, sleep=lambda _: None
        )
        sync = StreamSync(
            self.stream, self.tenant, client, self.installation.database, self.installation.spool, no_progress
        )
        return sync.run()

    def _spoil(self, rng: random.Random) -> None:
        for gid, record in self.bad.items():
            self.bad[gid] = spoilt(_connected(record), rng)

    def _history_is_in(self) -> None:
        self.installation.execute(
            """
            insert into ops.sync_state (tenant_id, stream, cursor_at, query_version, history_loaded_at)
            values (%s, %s, %s, %s, now())
            """,
            *(self.tenant.tenant_id, self.stream.name, BEFORE, self.stream.query_version),
        )

    def _alone(self) -> dict[str, dict[Any, Any]]:
        handle = f"{self.tenant.tenant_id}-alone"
        self._load(handle, self.good)
        return self._rows(handle)

    def _load(self, handle: str, records: Sequence[Record]) -> None:
        load = Load(handle, self.stream.root, datetime.now(UTC))
        mapping = RowMapping(self.stream.root, handle, self.stream.query_version)
        with self.installation.database.connect() as connection:
            load.run(connection, mapping.of_objects(deepcopy(list(records))))

    def _rows(self, handle: str) -> dict[str, dict[Any, Any]]:
        """The rows of the good ones."""
        ids = [int(record["id"].rpartition("/")[2]) for record in self.good]
        rows: dict[str, dict[Any, Any]] = {}
        known: dict[str, list[Any]] = {}
        for table in tree(self.stream.root):
            column = "id" if table.parent is None else table.parent_column
            of = ids if table.parent is None else known[table.parent.name]
            rows[table.name] = dict(
                self.installation.query(
                    f"""
                    select id, to_jsonb(t) - 'loaded_at' - 'tenant_id' from raw.{table.name} t
                    where tenant_id = %s and {column} = any(%s)
                    """,
                    *(handle, of),
                )
            )
            known[table.name] = list(rows[table.name])
        return rows

    def _ids(self) -> list[int]:
        query = f"select id from raw.{self.stream.root.name} where tenant_id = %s and deleted_at is null"
        return [id_ for (id_,) in self.installation.query(query, self.tenant.tenant_id)]

    def _check_whole(self, gid: str, record: Record) -> None:
        """What is in raw of a spoilt record has all of its children."""
        for name, nodes in record.items():
            table = _NESTED.get(name) or _TABLE_OF.get(name) or f"{self.stream.root.name[:-1]}_line_items"
            is_list = name in _NESTED and isinstance(nodes, list)
            children = nodes if is_list else nodes["nodes"] if name in _CHILDREN and isinstance(nodes, dict) else None
            names = {each.name: each for each in tree(self.stream.root)}
            if children is None or table not in names or names[table].parent is not self.stream.root:
                continue
            held = self.installation.value(
                f"select count(*) from raw.{table} where tenant_id = %s and {names[table].parent_column} = %s",
                *(self.tenant.tenant_id, int(gid.rpartition("/")[2])),
            )
            assert held == len({child["id"] for child in children}), (gid, name)


WAYS: dict[str, Callable[[Fuzzed, random.Random], StreamReport]] = {
    "bulk": Fuzzed.by_bulk,
    "page": Fuzzed.by_page,
    "event": Fuzzed.by_event,
}


@pytest.fixture(scope="module")
def samples(sandbox: SandboxProcess) -> dict[str, list[Record]]:
    """Some whole objects of each stream of a store."""
    client = ShopifyClient(tenant="shelf", api_url=Shop(sandbox, "shelf").api_url, token=DEFAULT_TOKEN)
    found: dict[str, list[Record]] = {}
    for stream in STREAMS:
        found[stream.name] = []
        for page in Pager(client, stream.pages).changes(datetime(2000, 1, 1, tzinfo=UTC)):
            found[stream.name] += page.nodes
            if len(found[stream.name]) >= 60:
                break
    return found


@pytest.fixture
def store() -> Iterator[PoisonStore]:
    with poison_store() as store:
        yield store


_handles = (f"fuzzed-{number}" for number in count())


def fuzz(
    installation: Installation, store: PoisonStore, samples: dict[str, list[Record]], rng: random.Random, bad: int
) -> tuple[int, int]:
    """Load some spoilt records of each stream in each way. Returns how many landed, and how many were set aside."""
    landed = set_aside = 0
    for stream in STREAMS:
        for way in WAYS.values():
            tenant = _tenant(installation, store)
            of_stream = samples[stream.name]
            good = [renumbered(rng.choice(of_stream)) for _ in range(8)]
            spoiling = [renumbered(rng.choice(of_stream)) for _ in range(bad)]
            fuzzed = Fuzzed(installation, store, stream, tenant, good, {record["id"]: record for record in spoiling})
            counts = fuzzed.check(way(fuzzed, rng))
            landed, set_aside = landed + counts[0], set_aside + counts[1]
    return landed, set_aside


def test_no_record_stops_another(
    installation: Installation, store: PoisonStore, samples: dict[str, list[Record]]
) -> None:
    landed, set_aside = fuzz(installation, store, samples, random.Random(10), bad=13)

    assert landed > 20
    assert set_aside > 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_no_record_of_ten_thousand_stops_another(
    installation: Installation, store: PoisonStore, samples: dict[str, list[Record]], seed: int
) -> None:
    landed, set_aside = fuzz(installation, store, samples, random.Random(seed), bad=84)

    print(f"{landed} landed, {set_aside} set aside")


def _tenant(installation: Installation, store: PoisonStore) -> Tenant:
    handle = next(_handles)
    facts = {"name": handle, "currency": "EUR", "iana_timezone": "UTC", "plan": "Plus"}
    scopes = ["read_all_orders", "read_orders", "read_customers", "read_products"]
    tenant = Tenant(handle, handle, f"{handle}.myshopify.com", store.url, access_scopes=scopes, **facts)
    with installation.database.connect() as connection:
        for each in (tenant, Tenant(f"{handle}-alone", f"{handle}-alone", "x", "", access_scopes=[], **facts)):
            registry.add(connection, each)
        store_grant(connection, installation.ring, handle, Grant.permanent(DEFAULT_TOKEN))
    return tenant


def _connected(record: Record) -> Record:
    """A record with its children in connections, as a page shows them."""
    return {
        name: {"nodes": [_connected(child) for child in value], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        if name in _CHILDREN
        else value
        for name, value in record.items()
    }
