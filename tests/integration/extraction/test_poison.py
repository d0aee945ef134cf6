"""A record that does not fit is set aside, by whatever way it comes; it stops no other, and is told of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.altering_proxy import Meddler, Spoil, meddler
from tests.support.events import read, states, tell
from tests.support.installation import Installation, Rows, Shop, changed
from tests.support.reconciliation import found, reconcile
from xeno_pipeline.extraction.report import StreamFailure, StreamReport
from xeno_pipeline.tenants.onboarding import connect_store
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough


@pytest.fixture
def proxy(shop: Shop) -> Iterator[Meddler]:
    with meddler(shop) as proxy:
        yield proxy


@pytest.fixture
def tenant(installation: Installation, shop: Shop, proxy: Meddler) -> Tenant:
    """A tenant whose store is reached through the proxy; nothing of it is read yet."""
    return connect_store(
        installation.database, installation.ring, handle=shop.handle, api_url=proxy.api_url, token=DEFAULT_TOKEN
    )


@pytest.fixture
def healthy(other_installation: Installation, shop: Shop) -> Installation:
    """Where the same store was read without the proxy."""
    other_installation.sync(other_installation.connect(shop))
    return other_installation


def having(**fields: Any) -> Spoil:
    """Gives a record other fields."""
    return lambda record: record | fields


def money(amount: Any) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "EUR"}}


def lacking(field: str) -> Spoil:
    return lambda record: {name: value for name, value in record.items() if name != field}


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def an_order(healthy: Installation) -> int:
    """An order with lines, a ledger, and a customer."""
    return int(healthy.value("select min(id) from raw.orders where customer_id is not null"))


def set_aside(installation: Installation) -> dict[str, str]:
    """The reasons, by gid."""
    return dict(installation.query("select gid, reason from ops.set_aside"))


def without(rows: Rows, installation: Installation, *orders: int) -> Rows:
    """The rows but for those of some orders, as an installation that has them says what is theirs."""
    bound = list(orders)
    theirs: dict[str, set[Any]] = {"orders": set(orders)}
    for table in ("order_line_items", "order_agreements", "refunds", "order_transactions", "fulfillments"):
        found = installation.query(f"select id from raw.{table} where order_id = any(%s)", bound)
        theirs[table] = {id_ for (id_,) in found}
    sales = "select id from raw.order_sales where agreement_id = any(%s)"
    theirs["order_sales"] = {id_ for (id_,) in installation.query(sales, list(theirs["order_agreements"]))}
    return {
        table: {key: row for key, row in of_table.items() if key[1] not in theirs.get(table, ())}
        for table, of_table in rows.items()
    }


ORDERS: list[tuple[str, Spoil, str]] = [
    ("a year that PostgreSQL has not", having(processedAt="0000-12-30T00:00:00Z"), "processedAt is no date that"),
    ("a month that is none", having(cancelledAt="2026-13-01T00:00:00Z"), "cancelledAt is no date that PostgreSQL can"),
    ("a change in the far future", having(updatedAt="12026-11-01T00:00:00Z"), "updatedAt is before 1990 or more than"),
    ("a change that is none", having(updatedAt=None), "updatedAt is missing"),
    ("created before there were shops", having(createdAt="1200-01-01T00:00:00Z"), "createdAt is before 1990 or more"),
    ("a price of 1e17", having(totalPriceSet=money("1e17")), "totalPriceSet.shopMoney.amount is an amount of 1e12 or"),
    ("a price that is none", having(totalPriceSet=money("NaN")), "totalPriceSet.shopMoney.amount is no amount"),
    ("a number for a text", having(name=1), "name is no text"),
    ("a text for a truth value", having(test="false"), "test is neither true nor false"),
    ("a text for a list", having(tags="vip"), "tags is no list of texts"),
    ("a list for a record", having(customer=[1]), "customer is of another type than it should be"),
    ("no tags", lacking("tags"), "tags is missing"),
    ("an unknown kind", having(__typename="Bestellung"), "__typename is of no kind that is read here"),
    ("a refund without a date", having(refunds=[{"id": gid("Refund", 1)}]), "refunds.createdAt is missing"),
    ("a fulfillment of 1e10 pieces", having(fulfillments=[{
        "id": gid("Fulfillment", 1), "status": "SUCCESS", "displayStatus": None, "createdAt": None, "updatedAt": None,
        "deliveredAt": None, "totalQuantity": 10**10,
    }]), "fulfillments.totalQuantity is a number larger than its column can hold"),
]  # fmt: skip
PARTS: list[tuple[str, str, Spoil, str]] = [
    ("LineItem", "order_line_items", having(quantity=1.5), "LineItem: quantity is no whole number"),
    ("SalesAgreement", "order_agreements", having(happenedAt="2026-02-30T00:00:00Z"), "Agreement: happenedAt is no"),
    ("Sale", "order_sales", having(totalTaxAmount=money("-1000000000000")), "Sale: totalTaxAmount.shopMoney.amount is"),
]


def test_in_a_history_by_bulk_all_but_the_poison_orders_are_loaded(
    installation: Installation, tenant: Tenant, proxy: Meddler, healthy: Installation
) -> None:
    orders = [id_ for (id_,) in healthy.query("select id from raw.orders order by 1 limit %s", len(ORDERS))]
    proxy.spoilt = {gid("Order", order): spoil for order, (_, spoil, _) in zip(orders, ORDERS, strict=True)}

    report = installation.sync(tenant, "orders")["orders"]

    assert report.mode == "bulk"
    assert report.set_aside == len(ORDERS)
    says = f"{tenant.tenant_id}: {len(ORDERS)} orders do not fit and were set aside;"
    assert any(note.startswith(says) for note in report.notes)
    reasons = set_aside(installation)
    assert [
        reasons[gid("Order", order)][: len(reason)] for order, (_, _, reason) in zip(orders, ORDERS, strict=True)
    ] == [reason for _, _, reason in ORDERS]
    tables, expected = report.tables, without(healthy.raw(), healthy, *orders)
    assert {name: installation.raw()[name] for name in tables} == {name: expected[name] for name in tables}
    assert {name: counts.inserted for name, counts in tables.items()} == {name: len(expected[name]) for name in tables}
    assert installation.value("select history_loaded_at is not null from ops.sync_state where stream = 'orders'")


@pytest.mark.parametrize("first", [True, False], ids=["first load", "merge"])
def test_a_poison_part_sets_its_whole_order_aside(
    installation: Installation, tenant: Tenant, proxy: Meddler, healthy: Installation, first: bool
) -> None:
    orders, reasons, spoilt = [], {}, {}
    for kind, table, spoil, reason in PARTS:
        of_order = (
            "(select order_id from raw.order_agreements where id = agreement_id)" if kind == "Sale" else "order_id"
        )
        query = f"select {of_order}, id from raw.{table} where not ({of_order} = any(%s)) order by 1 limit 1"
        ((order, part),) = healthy.query(query, orders)
        orders.append(order)
        reasons[gid("Order", order)] = reason
        spoilt[part if isinstance(part, str) else gid(kind, part)] = spoil
    if not first:
        installation.sync(tenant, "orders")
        installation.execute("update raw.orders set query_version = 1")
    proxy.spoilt = spoilt

    report = installation.sync(tenant, "orders", full=True)["orders"]

    assert {listed: why[: len(reasons[listed])] for listed, why in set_aside(installation).items()} == reasons
    assert report.tables["orders"].deleted == 0
    assert installation.query("select id from raw.orders where deleted_at is not null") == []
    tables = report.tables
    if first:
        expected = without(healthy.raw(), healthy, *orders)
        assert {name: installation.raw()[name] for name in tables} == {name: expected[name] for name in tables}
        assert {name: counts.inserted for name, counts in tables.items()} == {
            name: len(expected[name]) for name in tables
        }
    else:
        assert installation.raw()["order_sales"] == healthy.raw()["order_sales"]
        older = installation.query("select id from raw.orders where query_version = 1 order by 1")
        assert [id_ for (id_,) in older] == sorted(orders)


def test_changes_in_pages_go_past_poison_orders_and_the_cursor_with_them(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    installation.sync(tenant)
    poison = [shop.control.place_order()["orders"][0] for _ in _IN_PAGES]
    (good,) = shop.control.place_order()["orders"]
    proxy.spoilt = {gid("Order", order): spoil for order, spoil in zip(poison, _IN_PAGES, strict=True)}

    report = installation.sync(tenant, "orders")["orders"]

    assert report.mode == "pages"
    assert installation.query("select id from raw.orders where id = any(%s)", [*poison, good]) == [(good,)]
    assert set(set_aside(installation)) == {gid("Order", order) for order in poison}
    changed_at = installation.value("select updated_at from raw.orders where id = %s", good)
    assert report.cursor_after == changed_at
    assert report.cursor_after <= datetime.now(UTC)
    installation.settle()
    assert installation.sync(tenant, "orders")["orders"].mode == "idle", "they are not read again while they stay so"

    proxy.spoilt = {}
    for order in poison:
        shop.control.update_order(order, tags=["mended"])
    installation.sync(tenant, "orders")

    assert set_aside(installation) == {}
    mended = installation.query("select id from raw.orders where tags = array['mended'] order by 1")
    assert [id_ for (id_,) in mended] == sorted(poison)


_IN_PAGES = [ORDERS[number][1] for number in (0, 2, 3, 5, 12)]


def test_a_number_of_orders_below_zero_is_set_aside(
    installation: Installation, tenant: Tenant, proxy: Meddler, healthy: Installation
) -> None:
    """Subtracting from the smallest number that its column can hold would fail the comparison of all customers."""
    customer = gid("Customer", healthy.value("select min(id) from raw.customers"))
    proxy.spoilt = {customer: lambda record: record | ({"numberOfOrders": str(-(2**63))} if "tags" in record else {})}

    installation.sync(tenant, "customers")

    assert set_aside(installation) == {customer: "numberOfOrders is less than nothing"}


def test_an_older_version_stays_while_a_poison_one_is_set_aside(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    installation.sync(tenant)
    order = installation.value("select max(id) from raw.orders")
    before = installation.raw()
    proxy.spoilt = {gid("Order", order): having(totalPriceSet=money("1e17"))}
    shop.control.update_order(order, tags=["urgent"])

    installation.sync(tenant, "orders")
    installation.sync(tenant, "orders", full=True)

    assert changed(before, installation.raw()) == {}
    assert list(set_aside(installation)) == [gid("Order", order)]


def test_the_events_beside_a_poison_order_are_done_and_so_is_its_own(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    installation.sync(tenant)
    orders = [shop.control.place_order()["orders"][0] for _ in range(5)]
    proxy.spoilt = {
        gid("Order", orders[2]): having(updatedAt="0000-12-30T00:00:00Z"),
        gid("Order", orders[3]): having(id=None),
    }
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    tell(installation.database, shop, *(("orders/create", {"id": order, "updated_at": now}) for order in orders))
    good = [orders[0], orders[1], orders[4]]

    (result,) = read(installation, tenant)

    assert isinstance(result, StreamReport)
    assert result.set_aside == 2
    assert result.notes
    assert {state for state, *_ in states(installation)} == {"in raw"}
    ids = installation.query("select id from raw.orders where id = any(%s) order by 1", orders)
    assert [id_ for (id_,) in ids] == sorted(good)
    assert set(set_aside(installation)) == {gid("Order", orders[2]), gid("Order", orders[3])}


def test_a_poison_order_that_is_deleted_leaves_the_list(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    installation.sync(tenant)
    told_of, vanished = (shop.control.place_order()["orders"][0] for _ in range(2))
    proxy.spoilt = {gid("Order", order): having(test=None) for order in (told_of, vanished)}
    installation.sync(tenant, "orders")
    assert len(set_aside(installation)) == 2

    shop.control.delete_order(told_of)
    tell(installation.database, shop, ("orders/delete", {"id": told_of}))
    read(installation, tenant)
    assert list(set_aside(installation)) == [gid("Order", vanished)]

    shop.control.delete_order(vanished)
    shop.control.set_clock(offset_seconds=600)
    installation.sync(tenant, "orders", full=True)
    assert set_aside(installation) == {}


def test_comparisons_with_shopify_know_of_what_is_set_aside(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop, healthy: Installation
) -> None:
    """It counts as if it were in raw, is neither read again while it stays as it is, nor taken for gone."""
    orders = [
        id_ for (id_,) in healthy.query("select id from raw.orders where customer_id is not null order by 1 limit 2")
    ]
    dated, undated = (gid("Order", order) for order in orders)
    proxy.spoilt = {dated: having(processedAt="?"), undated: having(createdAt="?", updatedAt="?")}
    installation.sync(tenant)
    for full in (True, False):
        proxy.operations.clear()

        results = reconcile(installation, tenant, full=full)

        assert [result.error for result in results.values() if isinstance(result, StreamFailure)] == []
        last = found(installation, tenant)
        assert (last.windows_differing, last.read_again, last.deleted, last.customers_differing) == (0, 0, 0, 0)
        assert last.at_shopify == last.in_raw
        assert "OrdersById" not in proxy.operations
        assert ("BulkOperationStart" in proxy.operations) is full
        assert set(set_aside(installation)) == {dated, undated}

    proxy.spoilt = {}
    shop.control.update_order(orders[0], tags=["mended"])
    reconcile(installation, tenant, full=True)
    assert set_aside(installation) == {}


def test_ids_that_are_none_make_nothing_gone(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    installation.sync(tenant)
    order, customer = (installation.value(f"select min(id) from raw.{table}") for table in ("orders", "customers"))
    proxy.spoilt = {
        gid("Order", order): having(id=gid("Product", order)),
        gid("Customer", customer): having(numberOfOrders="many", statistics=[]),
    }
    before = installation.raw()

    results = reconcile(installation, tenant, full=True, accept_deletions=True)

    assert [result.error for result in results.values() if isinstance(result, StreamFailure)] == []
    assert changed(before, installation.raw()) == {}


def _lose_id(record: dict[str, Any]) -> dict[str, Any]:
    """Leaves alone what merely names the record."""
    return {"__typename": record["__typename"], "note": "?"} if "__typename" in record else record


@pytest.mark.parametrize("kind", ["Order", "LineItem"])
def test_a_record_without_any_id_makes_nothing_gone_and_is_listed(
    installation: Installation, tenant: Tenant, proxy: Meddler, kind: str
) -> None:
    installation.sync(tenant)
    before = installation.raw()
    table = {"Order": "orders", "LineItem": "order_line_items"}[kind]
    record = installation.value(f"select min(id) from raw.{table}")
    proxy.spoilt = {gid(kind, record): _lose_id}

    report = installation.sync(tenant, "orders", full=True)["orders"]

    assert changed(before, installation.raw()) == {}
    assert report.set_aside == 1
    assert list(set_aside(installation)) == [""]

    proxy.spoilt = {}
    installation.sync(tenant, "orders", full=True)
    assert set_aside(installation) == {}


def test_a_history_in_pages_ends_with_a_poison_order(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop, healthy: Installation
) -> None:
    order = an_order(healthy)
    proxy.spoilt = {gid("Order", order): having(createdAt=7)}
    shop.control.fault("refuse_ledger")

    report = installation.sync(tenant, "orders")["orders"]

    assert report.mode == "pages"
    assert list(set_aside(installation)) == [gid("Order", order)]
    assert installation.value("select history_loaded_at is not null from ops.sync_state where stream = 'orders'")


def test_facts_of_the_shop_that_do_not_fit_stop_no_stream(
    installation: Installation, tenant: Tenant, proxy: Meddler, shop: Shop
) -> None:
    proxy.spoilt = {tenant.shop_gid: having(name={"en": "Shop"}, createdAt="0000-01-01T00:00:00Z")}

    installation.sync(tenant)
    installation.sync(tenant)

    assert installation.value("select count(*) from raw.orders") == 60
    assert set_aside(installation) == {tenant.shop_gid: "name is no text"}
    assert installation.value("select name from ops.tenants") == tenant.name

    proxy.spoilt = {tenant.shop_gid: having(name="A\x00B")}
    installation.sync(tenant)
    assert installation.value("select name from ops.tenants") == "AB"
    assert set_aside(installation) == {}


def test_a_cart_that_does_not_fit_holds_up_no_other(installation: Installation, tenant: Tenant) -> None:
    """The gateway takes no such cart; what it once took may be there yet."""
    installation.sync(tenant)
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    carts: list[dict[str, Any]] = [
        {"token": "good", "line_items": [], **times},
        {"token": "poison", "line_items": [], **times, "created_at": "1200-01-01T00:00:00Z"},
    ]
    for number, cart in enumerate(carts):
        installation.execute(
            """
            insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, payload)
            values (%s, %s, 'carts/create', 'carts', %s)
            """,
            *(tenant.tenant_id, str(number), Jsonb(cart)),
        )

    (result,) = read(installation, tenant)

    assert isinstance(result, StreamReport)
    assert installation.query("select cart_id from raw.carts") == [("good",)]
    assert set_aside(installation) == {"poison": "created_at is before 1990 or more than a year ahead"}
    assert {state for state, *_ in states(installation)} == {"in raw"}
