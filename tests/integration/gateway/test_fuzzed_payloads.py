"""Documented payloads with something wrong in them, between good ones of other stores, up to the marts.

Whatever comes of the odd ones, no good one is refused for them, and nothing that was kept stops a stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.events import make_due, read
from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation, Shop
from tests.support.payload_mutations import ODD_DATES, mutated
from tests.support.payloads import documented
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.events import apply_uninstallations
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

_AT_ONCE = 24
_GOOD_ONE_IN = 4


@dataclass(frozen=True)
class Sent:
    """A delivery, and whether there is nothing wrong with it."""

    is_good: bool
    topic: str
    shop: str
    webhook_id: str
    payload: Any
    headers: dict[str, str] = field(default_factory=dict)


def test_a_few_hundred_odd_payloads_hurt_no_good_one_and_stop_no_stream(
    installation: Installation, shop: Shop, other_shop: Shop, tmp_path: Path
) -> None:
    check_payloads(installation, shop, other_shop, tmp_path, 400)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_odd_payloads_hurt_no_good_one_and_stop_no_stream(
    installation: Installation, shop: Shop, other_shop: Shop, tmp_path: Path
) -> None:
    check_payloads(installation, shop, other_shop, tmp_path, 10_000)


def check_payloads(installation: Installation, odd: Shop, good: Shop, folder: Path, count: int) -> None:
    """Deliver so many odd payloads of one store, and good ones of another, and take in what was kept."""
    tenants = [installation.connect(shop) for shop in (odd, good)]
    for tenant in tenants:
        installation.sync(tenant)
    sent = list(deliveries(installation, odd.handle, good.handle, count))
    with GatewayProcess(installation.database.url, folder) as gateway:
        statuses = deliver(gateway, sent)
        assert "Traceback" not in gateway.text()
    print(f"{count} odd payloads were answered {dict(sorted(Counter(statuses[False]).items()))}")
    assert set(statuses[True]) == {200}
    assert set(statuses[False]) <= {200, 400, 413}, "what the database refuses is to be known beforehand"
    assert {200, 400} <= set(statuses[False])

    take_in(installation, tenants)
    check_kept(installation, good.handle, [each for each in sent if each.is_good])
    check_marts(installation.database, folder, tenants)
    apply_uninstallations(installation.database)
    assert not installation.value(
        "select exists (select from ops.webhook_inbox where stream = 'app' and done_at is null)"
    )


def deliveries(installation: Installation, odd: str, good: str, count: int) -> Iterator[Sent]:
    """The same for the same stores, but for their ids."""
    random, payloads = Random(10), documented()
    topics = [*payloads, *["carts/update"] * 10]  # of which more is kept than of the others
    known = {
        topic: [
            id_ for (id_,) in installation.query(f"select id from raw.{table} where tenant_id = %s order by 1", good)
        ]
        for topic, table in (("orders/updated", "orders"), ("customers/update", "customers"))
    }
    for number in range(count):
        topic = random.choice(topics)
        headers = {"X_Shopify_Triggered_At": random.choice(ODD_DATES)} if random.random() < 0.1 else {}
        body = mutated(random, payloads[topic])
        yield Sent(False, topic, f"{odd}.myshopify.com", f"odd-{number}", body, headers)
        if number % _GOOD_ONE_IN:
            continue
        name, shop = f"good-{number}", f"{good}.myshopify.com"
        if number % (2 * _GOOD_ONE_IN):
            yield Sent(True, "carts/update", shop, name, payloads["carts/update"] | {"id": name, "token": name})
        else:
            topic = random.choice(sorted(known))
            yield Sent(True, topic, shop, name, {"id": random.choice(known[topic])})


def deliver(gateway: GatewayProcess, sent: list[Sent]) -> dict[bool, list[int]]:
    """Deliver them, many at once; the statuses of the odd and the good ones."""

    def answer(each: Sent) -> tuple[bool, int]:
        how: Any = {"topic": each.topic, "shop": each.shop, "webhook_id": each.webhook_id, **each.headers}
        return each.is_good, gateway.deliver(each.payload, **how).status_code

    statuses: dict[bool, list[int]] = {True: [], False: []}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for is_good, status in pool.map(answer, sent):
            statuses[is_good].append(status)
    return statuses


def take_in(installation: Installation, tenants: list[Tenant]) -> None:
    """Read what events name until none is left that was not tried, and once more what was tried; no stream may fail."""
    is_left = (
        "select exists (select from ops.webhook_inbox where done_at is null and stream <> 'app' and due_at <= now())"
    )
    while installation.value(is_left):
        failures = [result for result in read(installation, *tenants) if isinstance(result, StreamFailure)]
        assert failures == []
        with installation.database.connect() as connection:
            inbox.backlog(connection)
            inbox.uninstallations(connection)
    make_due(installation)
    assert not any(isinstance(result, StreamFailure) for result in read(installation, *tenants))


def check_kept(installation: Installation, good: str, sent: list[Sent]) -> None:
    """The good ones are all in raw; of the odd ones no stream is held, and only what Shopify does not show waits."""
    in_raw = installation.query(
        "select webhook_id from ops.webhook_inbox where tenant_id = %s and done_at is not null and absence is null",
        good,
    )
    assert {name for (name,) in in_raw} == {each.webhook_id for each in sent}
    carts = [name for (name,) in installation.query("select cart_id from raw.carts where tenant_id = %s", good)]
    assert sorted(carts) == sorted(each.webhook_id for each in sent if each.topic == "carts/update")
    waiting = installation.query(
        """
        select stream, is_held, error from ops.webhook_inbox
        where stream <> 'app' and (dead_at is not null or done_at is null and absence is null)
        """
    )
    assert waiting == []


def check_marts(database: Database, folder: Path, tenants: list[Tenant]) -> None:
    """All carts come into the marts, and Python can read them."""
    project = DbtProject(Settings(home=folder / "dbt", database_url=SecretStr(database.url)))
    make_relations(database, project)
    report = transform(database, project, TransformRequest([tenant.tenant_id for tenant in tenants]))
    assert report.failures == {}
    with database.connect() as connection:
        for relation in ("intermediate.int_carts", "marts.abandoned_carts"):
            rows = connection.execute(f"select * from {relation}").fetchall()
            assert connection.execute("select count(*) from raw.carts").fetchone() == (len(rows),)
            assert len({row[0] for row in rows}) == len(tenants), "some of the odd carts could be kept"
