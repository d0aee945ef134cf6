"""A sync reads a store's history in bulk, then what changed in pages, and ends with what the store serves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.fake_store import fake_store
from tests.support.installation import Installation, Shop, changed
from xeno_pipeline.errors import UsageError
from xeno_pipeline.extraction.report import StreamFailure, StreamReport
from xeno_pipeline.extraction.state import load_state, remember_bulk_operation
from xeno_pipeline.extraction.streams import STREAM_NAMES, STREAMS
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.errors import TokenRejectedError
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.domains import OtherShopError
from xeno_pipeline.tenants.onboarding import open_client

BULK_STREAMS = [stream.name for stream in STREAMS]


def modes(reports: dict[str, StreamReport]) -> dict[str, str]:
    return {name: report.mode for name, report in reports.items()}


# --- the history, and what changed since ---


def test_history_comes_in_bulk_and_changes_in_pages(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)

    first = installation.sync(tenant)
    shop.control.update_product(title="Another")
    second = installation.sync(tenant)

    assert list(first) == list(second) == list(STREAM_NAMES)
    assert modes(first) == {"shop": "facts", **dict.fromkeys(BULK_STREAMS, "bulk")}
    assert modes(second) == {"shop": "facts", **dict.fromkeys(BULK_STREAMS, "idle"), "products": "pages"}


def test_the_planner_knows_a_history_once_it_is_loaded(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.execute(  # many rows, as of a large store
        """
        insert into ops.tenants
            (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
        values ('other', '2', '', '', '', 'EUR', 'UTC', '', '{}')
        """
    )
    installation.execute(
        """
        insert into raw.customers (tenant_id, id, updated_at, created_at, number_of_orders, query_version, payload)
        select 'other', n, now(), now(), 0, 1, '{}' from generate_series(1, 2000) n
        """
    )
    installation.sync(tenant)
    with installation.database.connect() as connection:
        known = connection.execute("select reltuples from pg_class where oid = 'raw.customers'::regclass").fetchall()
    assert known[0][0] >= 2000


def test_a_change_in_the_second_in_which_an_object_was_read_is_not_missed(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    shop.control.update_product(title="Another")
    installation.sync(tenant)
    served = installation.raw()
    # As it was read, had the title been changed later in the same second.
    installation.execute(
        "update raw.products set title = 'One', payload = payload || '{\"title\": \"One\"}' where title = 'Another'"
    )

    again = installation.sync(tenant)

    assert modes(again)["products"] == "pages"
    assert installation.raw() == served
    installation.settle()
    assert modes(installation.sync(tenant)) == {"shop": "facts", **dict.fromkeys(BULK_STREAMS, "idle")}


def test_raw_holds_what_the_store_serves(installation: Installation, shelf: Shop) -> None:
    installation.sync(installation.connect(shelf))

    for table, served in _served(shelf).items():
        columns = ", ".join(next(iter(served.values())))
        rows = installation.query(f"select id, {columns} from raw.{table}")
        assert {str(id_): tuple(map(_shown, values)) for id_, *values in rows} == {
            id_: tuple(fields.values()) for id_, fields in served.items()
        }, table


def test_the_reports_say_what_was_read_and_what_it_cost(installation: Installation, shelf: Shop) -> None:
    report = installation.sync(installation.connect(shelf))["orders"]

    in_raw = {table: len(rows) for table, rows in installation.raw().items() if table in report.tables}
    assert {table: counts.read for table, counts in report.tables.items()} == in_raw
    assert {table: counts.inserted for table, counts in report.tables.items()} == in_raw
    assert report.rows_read == report.rows_changed == sum(in_raw.values())
    assert report.requests > 0
    assert report.points > 0
    assert report.bytes > 10_000
    assert 0 < report.seconds_waiting < report.seconds
    assert report.cursor_before is None


def test_the_cursor_after_a_bulk_load_is_when_the_operation_began(installation: Installation, shelf: Shop) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    report = installation.sync(installation.connect(shelf))["orders"]

    assert report.cursor_after is not None
    assert began <= report.cursor_after <= datetime.now(UTC)
    with installation.database.connect() as connection:
        state = load_state(connection, "shelf", "orders")
    assert state.cursor_at == report.cursor_after
    assert state.bulk_operation_id is None


def test_the_spool_is_empty_afterwards(installation: Installation, shelf: Shop) -> None:
    installation.sync(installation.connect(shelf))

    assert list(installation.spool.iterdir()) == []


def test_a_store_without_orders_is_synced_too(installation: Installation, void: Shop) -> None:
    tenant = installation.connect(void)

    for mode in ("bulk", "pages"):
        reports = installation.sync(tenant, "orders", "abandoned_checkouts")
        assert {report.rows_read for report in reports.values()} == {0}
        assert {report.mode for report in reports.values()} == {mode}


def test_a_second_sync_reads_a_handful_of_pages_and_writes_no_row(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    before = installation.row_versions()
    shop.control.reset_stats()

    reports = installation.sync(tenant)

    assert installation.row_versions() == before
    assert sum(report.rows_changed for report in reports.values()) == 0
    assert shop.control.stats()["requests"] <= 6


def test_one_changed_order_changes_that_orders_rows_and_no_other(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    before, versions = installation.raw(), installation.row_versions()

    (order,) = shop.control.update_order(tags=["urgent"])["orders"]
    reports = installation.sync(tenant)

    assert changed(before, installation.raw()) == changed(versions, installation.row_versions()) == {"orders": {order}}
    assert reports["orders"].rows_changed == 1
    assert installation.value("select tags from raw.orders where id = %s", order) == ["urgent"]


def test_a_refund_changes_its_order_and_what_hangs_on_it(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    before = installation.row_versions()

    touched = shop.control.refund()
    installation.sync(tenant)

    differing = changed(before, installation.row_versions())
    assert {"orders", "refunds", "order_agreements", "order_sales"} <= differing.keys()
    (order,) = touched["orders"]
    of_that_order = "select id from raw.{} where order_id = %s"
    for table in differing.keys() & {"order_line_items", "refunds", "order_transactions", "order_agreements"}:
        assert differing[table] <= {id_ for (id_,) in installation.query(of_that_order.format(table), order)}
    assert differing["orders"] == {order}
    assert differing.get("customers", set()) <= set(touched.get("customers", ()))


def test_whatever_happens_in_the_store_a_sync_of_changes_ends_where_a_full_one_does(
    installation: Installation, other_installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    control = shop.control
    (placed,) = control.place_order()["orders"]
    control.edit_order(placed)
    control.cancel_order()
    control.refund()
    control.create_customer(email="new@example.com")
    control.update_customer(first_name="Renamed")
    control.create_product(title="New", price="5.00")
    control.update_product(price="7.77")
    control.start_checkout()
    control.complete_checkout()

    installation.sync(tenant)
    other_installation.sync(other_installation.connect(shop))

    assert changed(installation.raw(), other_installation.raw()) == {}


def test_streams_are_read_alone_too(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)

    assert list(installation.sync(tenant, "customers")) == ["customers"]
    assert {table for table, rows in installation.raw().items() if rows} == {"shops", "customers"}
    with pytest.raises(UsageError, match="There is no stream 'refunds'; there are shop, products, customers, orders,"):
        installation.sync(tenant, "refunds")


def test_a_history_read_by_an_older_query_is_said_to_be_so(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)
    assert installation.sync(tenant, "products")["products"].notes == []
    installation.query("update ops.sync_state set query_version = 1 returning 1")

    (note,) = installation.sync(tenant, "products")["products"].notes
    assert note.endswith("`xeno sync shelf --stream products --full` reads it again.")

    installation.sync(tenant, "products", full=True)
    assert installation.sync(tenant, "products")["products"].notes == []


# --- what is gone ---


def test_a_full_sync_that_finds_everything_as_it_was_writes_no_row(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)
    installation.sync(tenant)
    before = installation.row_versions()

    reports = installation.sync(tenant, full=True)

    assert installation.row_versions() == before
    assert modes(reports) == {"shop": "facts", **dict.fromkeys(BULK_STREAMS, "bulk")}


def test_a_full_sync_asks_before_it_marks_more_than_one_per_cent_as_gone(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    before = installation.row_versions()
    (order,) = shop.control.delete_order()["orders"]
    (product,) = shop.control.delete_product()["products"]

    asked = installation.error_of(tenant, "orders", full=True)
    assert str(asked).startswith(f"{shop.handle}: 1 of 60 orders are no longer at Shopify, more than one per cent;")
    assert changed(before, installation.row_versions()) == {}

    installation.sync(tenant, full=True, accept_deletions=True)
    assert installation.query("select id from raw.orders where deleted_at is not null") == [(order,)]
    assert installation.query("select id from raw.products where deleted_at is not null") == [(product,)]


def test_abandoned_checkouts_are_never_marked_as_gone(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    (checkout,) = shop.control.start_checkout()["checkouts"]
    installation.sync(tenant)
    shop.control.set_clock(offset_seconds=200 * 86_400)  # Shopify forgets checkouts after three months

    installation.sync(tenant, "abandoned_checkouts", full=True, accept_deletions=True)

    assert installation.value("select deleted_at from raw.abandoned_checkouts where id = %s", checkout) is None


def test_without_read_all_orders_only_the_last_sixty_days_can_be_gone(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    recent = [shop.control.place_order()["orders"][0] for _ in range(2)]
    installation.sync(tenant)
    shop.control.set_clock(offset_seconds=600)  # what is created as a read begins is not gone for want of it
    oldest = installation.value("select id from raw.orders order by created_at limit 1")
    for order in (recent[0], oldest):
        shop.control.delete_order(order)
    shop.control.set_scopes("read_orders", "read_customers", "read_products")

    reports = installation.sync(tenant, "shop", "orders", full=True, accept_deletions=True)

    assert installation.query("select id from raw.orders where deleted_at is not null") == [(recent[0],)]
    assert [note for note in reports["shop"].notes if "read_all_orders" in note]
    since = installation.value("select history_since from ops.sync_state where stream = 'orders'")
    assert timedelta(days=59) < datetime.now(UTC) - since < timedelta(days=61)


# --- when bulk refuses ---


def test_where_bulk_refuses_the_ledger_the_same_rows_come_in_pages_with_a_note(
    installation: Installation, other_installation: Installation, shop: Shop
) -> None:
    installation.sync(installation.connect(shop))
    tenant = other_installation.connect(shop)
    shop.control.fault("refuse_ledger")

    reports = other_installation.sync(tenant)

    assert modes(reports)["orders"] == "pages"
    assert any(
        note.startswith("Bulk refused the query, so the history was read in pages.") for note in reports["orders"].notes
    )
    assert changed(installation.raw(), other_installation.raw()) == {}
    assert other_installation.sync(tenant)["orders"].rows_changed == 0


# --- several at once, and one after another that died ---


def test_a_bulk_operation_that_a_dead_run_left_behind_is_adopted(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    client = open_client(installation.database, installation.ring, tenant, app=None)
    with installation.database.connect() as connection:
        reader = BulkReader(client)
        left_behind = reader.wait(reader.start(bulk_query("OrdersBulk")))
        remember_bulk_operation(connection, tenant.tenant_id, "orders", left_behind.id)
    client.close()
    shop.control.place_order()
    shop.control.reset_stats()

    report = installation.sync(tenant, "orders")["orders"]

    assert shop.control.stats()["bulk_operations"] == 0
    assert report.cursor_after == left_behind.created_at
    assert report.tables["orders"].inserted == 60
    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 1


def test_a_bulk_operation_that_shopify_has_forgotten_is_started_again(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    with installation.database.connect() as connection:
        remember_bulk_operation(connection, tenant.tenant_id, "orders", "gid://shopify/BulkOperation/1")

    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 60


def test_two_syncs_of_a_tenant_at_once_end_right(
    installation: Installation, other_installation: Installation, shelf: Shop
) -> None:
    tenant = installation.connect(shelf)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: installation.sync(tenant), range(2)))

    other_installation.sync(other_installation.connect(shelf))
    assert changed(installation.raw(), other_installation.raw()) == {}
    for table in both[0]["orders"].tables:
        inserted = [reports["orders"].tables[table].inserted for reports in both]
        assert sum(inserted) == len(installation.raw()[table])
    assert sum(report.rows_changed for report in installation.sync(tenant).values()) == 0


# --- whom a failure concerns ---


def test_a_revoked_token_fails_that_tenant_alone_and_changes_nothing(
    installation: Installation, shelf: Shop, shop: Shop
) -> None:
    revoked, healthy = installation.connect(shop), installation.connect(shelf)
    installation.sync(revoked)
    before = installation.row_versions()
    shop.control.set_tokens()

    results = Syncer(installation.database, installation.ring, installation.spool).sync_tenants(
        [revoked, healthy], SyncRequest()
    )

    failures = [result for result in results if isinstance(result, StreamFailure)]
    assert {failure.tenant_id for failure in failures} == {shop.handle}
    assert {failure.stream for failure in failures} == set(STREAM_NAMES)
    assert all(isinstance(failure.error, TokenRejectedError) for failure in failures)
    assert str(failures[0].error).endswith(f"Give a new one with `xeno tenant set-token {shop.handle}`.")
    after = installation.row_versions()
    assert all(key[0] == "shelf" for table in after for key in after[table].keys() - before[table].keys())
    assert {table: {k: v for k, v in rows.items() if k[0] != "shelf"} for table, rows in after.items()} == before


def test_another_shop_at_a_tenants_address_is_not_read_into_its_rows(installation: Installation, shelf: Shop) -> None:
    tenant = installation.connect(shelf)
    installation.sync(tenant)
    before = installation.row_versions()
    with fake_store("shelf", id="gid://shopify/Shop/1") as url:
        with installation.database.connect() as connection:
            registry.move(connection, "shelf", url)
            moved = registry.get(connection, "shelf")

        assert isinstance(installation.error_of(moved, "orders"), OtherShopError)

    assert installation.row_versions() == before


# --- what the store serves, asked by an outsider ---


def _served(shop: Shop) -> dict[str, dict[str, dict[str, Any]]]:
    """Some fields of everything that a store serves, by raw table and id, named as the columns are."""
    return {
        "products": {
            _id(node): {"title": node["title"], "updated_at": node["updatedAt"]}
            for node in _nodes(shop, "products", "id title updatedAt")
        },
        "customers": {
            _id(node): {"number_of_orders": node["numberOfOrders"], "created_at": node["createdAt"]}
            for node in _nodes(shop, "customers", "id numberOfOrders createdAt")
        },
        **_served_orders(shop),
    }


def _served_orders(shop: Shop) -> dict[str, dict[str, dict[str, Any]]]:
    amount = "{ shopMoney { amount } }"
    found: dict[str, dict[str, dict[str, Any]]] = {
        "orders": {},
        "order_line_items": {},
        "order_sales": {},
        "refunds": {},
    }
    for order in _nodes(
        shop,
        "orders",
        f"""
        id name processedAt currentTotalPriceSet {amount} refunds {{ id createdAt }}
        lineItems(first: 50) {{ nodes {{ id sku quantity }} }}
        agreements(first: 10) {{ nodes {{ id sales(first: 30) {{ nodes {{ id totalAmount {amount} }} }} }} }}
        """,
    ):
        found["orders"][_id(order)] = {
            "name": order["name"],
            "processed_at": order["processedAt"],
            "current_total_price": _amount(order["currentTotalPriceSet"]),
        }
        for line in order["lineItems"]["nodes"]:
            found["order_line_items"][_id(line)] = {
                "order_id": _id(order),
                "sku": line["sku"],
                "quantity": str(line["quantity"]),
            }
        for refund in order["refunds"]:
            found["refunds"][_id(refund)] = {"order_id": _id(order), "created_at": refund["createdAt"]}
        for agreement in order["agreements"]["nodes"]:
            for sale in agreement["sales"]["nodes"]:
                found["order_sales"][sale["id"]] = {
                    "agreement_id": agreement["id"],
                    "total_amount": _amount(sale["totalAmount"]),
                }
    return found


def _nodes(shop: Shop, connection: str, fields: str) -> list[dict[str, Any]]:
    """All nodes of a root connection."""
    nodes: list[dict[str, Any]] = []
    after = None
    while True:
        query = f"""query ($after: String) {{
            {connection}(first: 2, after: $after) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
        answer = requests.post(
            f"{shop.api_url}/admin/api/2026-10/graphql.json",
            json={"query": query, "variables": {"after": after}},
            headers={"X-Shopify-Access-Token": DEFAULT_TOKEN},
            timeout=30,
        ).json()
        found = answer["data"][connection]
        nodes += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            return nodes
        after = found["pageInfo"]["endCursor"]


def _id(node: dict[str, Any]) -> str:
    return str(node["id"]).rpartition("/")[2]


def _amount(money: dict[str, Any]) -> str:
    return f"{float(money['shopMoney']['amount']):.2f}"


def _shown(value: Any) -> str | None:
    """A value of a column as GraphQL writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if value is not None and type(value).__name__ == "Decimal":
        return f"{value:.2f}"
    return None if value is None else str(value)
