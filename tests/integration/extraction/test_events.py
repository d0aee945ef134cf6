"""Events are read back from Shopify, written to raw and marked in one transaction; what lags is tried again."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.events import FUTURE, make_due, read, reports, states, tell, tell_merge
from tests.support.installation import Installation, Rows, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant


def rows_of(raw: Rows, tables: tuple[str, ...]) -> Rows:
    return {table: raw[table] for table in tables}


def test_an_order_that_was_placed_is_in_raw_as_a_sync_would_have_it(
    installation: Installation, other_installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    touched = shop.control.place_order(new_customer=True)
    (order,), (customer,) = touched["orders"], touched["customers"]
    tell(
        installation.database,
        shop,
        ("orders/create", {"id": order}),
        ("customers/create", {"id": customer}),
        ("orders/updated", {"id": order}),
    )

    report = reports(installation, tenant)[tenant.tenant_id, "orders"]

    assert report.tables["orders"].inserted == 1
    assert report.requests == 1, "three events, one order: one read"
    assert states(installation) == [("in raw", 0, None)] * 3
    other_installation.sync(other_installation.connect(shop))
    tables = ("orders", "order_line_items", "order_agreements", "order_sales", "order_transactions", "customers")
    assert rows_of(installation.raw(), tables) == rows_of(other_installation.raw(), tables)


def test_duplicates_and_disorder_change_nothing(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    (order,) = shop.control.place_order()["orders"]
    tell(installation.database, shop, ("orders/updated", {"id": order}), ("orders/create", {"id": order}))
    reports(installation, tenant)
    before = installation.row_versions()

    tell(installation.database, shop, ("orders/create", {"id": order}), ("orders/updated", {"id": order}))
    assert reports(installation, tenant)[tenant.tenant_id, "orders"].rows_changed == 0
    assert installation.row_versions() == before


def test_what_was_deleted_gets_a_tombstone_and_is_not_asked_for(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    order = installation.value("select max(id) from raw.orders")
    shop.control.delete_order(order)
    tell(
        installation.database,
        shop,
        ("orders/updated", {"id": order, "updated_at": FUTURE}),
        ("orders/delete", {"id": order}),
    )
    report = reports(installation, tenant)[tenant.tenant_id, "orders"]

    assert installation.value("select deleted_at is not null from raw.orders where id = %s", order)
    assert (report.requests, report.tables["orders"].deleted) == (0, 1)
    assert states(installation) == [("in raw", 0, None)] * 2
    assert installation.value("select count(*) from ops.changes where object = 'orders' and object_id = %s", order) == 1


def test_an_update_that_comes_after_its_objects_deletion_brings_nothing_back(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    product = installation.value("select max(id) from raw.products")
    tell(installation.database, shop, ("products/delete", {"id": product}))  # ahead of Shopify's own answers
    reports(installation, tenant)
    tell(installation.database, shop, ("products/update", {"id": product}))
    reports(installation, tenant)

    assert installation.value("select deleted_at is not null from raw.products where id = %s", product)
    assert {status for status, _, _ in states(installation)} == {"in raw"}


def test_a_merge_moves_the_losers_orders_though_nothing_touched_them(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    ((loser, orders),) = installation.query(
        "select customer_id, count(*) from raw.orders where customer_id is not null group by 1 order by 2 desc limit 1"
    )
    winner = installation.value("select max(id) from raw.customers where id <> %s", loser)
    shop.control.merge_customers(winner, loser)
    tell_merge(installation.database, shop, kept=winner, deleted=loser)
    report = reports(installation, tenant)[tenant.tenant_id, "orders"]

    assert report.tables["orders"].updated == orders
    assert installation.value("select count(*) from raw.orders where customer_id = %s", loser) == 0
    assert installation.value("select deleted_at is not null from raw.customers where id = %s", loser)
    assert states(installation) == [("in raw", 0, None)]


def test_a_merge_that_shopify_does_not_show_in_the_orders_yet_is_tried_again(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    loser, winner = (
        id_ for (id_,) in installation.query("select distinct customer_id from raw.orders order by 1 desc limit 3")[1:]
    )
    tell_merge(installation.database, shop, kept=winner, deleted=loser)  # the store itself has not merged them yet
    reports(installation, tenant)
    assert [status for status, _, _ in states(installation)] == ["to be tried again"]

    shop.control.merge_customers(winner, loser)
    make_due(installation)
    reports(installation, tenant)
    assert [status for status, _, _ in states(installation)] == ["in raw"]
    assert installation.value("select count(*) from raw.orders where customer_id = %s", loser) == 0


def test_what_shopify_does_not_show_yet_is_tried_again_with_growing_pauses_and_in_the_end_given_up(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    order = installation.value("select max(id) from raw.orders")
    tell(installation.database, shop, ("orders/updated", {"id": order, "updated_at": FUTURE}))
    pauses: list[int] = []
    for _ in range(inbox.DEAD_AFTER):
        make_due(installation)
        reports(installation, tenant)
        pause: timedelta = installation.value("select due_at - now() from ops.webhook_inbox")
        pauses.append(5 * math.ceil(pause.total_seconds() / 5))  # a few milliseconds of it are over

    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (5, 10, 3600)
    ((status, attempts, error),) = states(installation)
    assert (status, attempts) == ("dead", inbox.DEAD_AFTER)
    assert error == "Shopify does not show yet what the event announced."
    make_due(installation)
    assert read(installation, tenant) == [], "the dead are left alone"

    with installation.database.connect() as connection:
        assert inbox.replay(connection, []) == 1
    assert states(installation) == [("waiting", 0, None)]


def test_checkouts_which_name_no_id_have_what_changed_read(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    (checkout,) = shop.control.start_checkout()["checkouts"]
    tell(installation.database, shop, ("checkouts/create", {"token": "t", "updated_at": FUTURE}))
    reports(installation, tenant)
    assert installation.query("select id from raw.abandoned_checkouts where id = %s", checkout) == [(checkout,)]
    assert states(installation) == [("in raw", 0, None)]


def test_a_tenant_that_cannot_be_read_holds_up_no_other_and_waits(
    installation: Installation, shop: Shop, other_shop: Shop, tenant: Tenant
) -> None:
    other = installation.connect(other_shop)
    installation.sync(other)
    placed = {each.handle: each.control.place_order()["orders"][0] for each in (shop, other_shop)}
    shop.control.set_tokens("shpat_another")
    for each in (shop, other_shop):
        tell(installation.database, each, ("orders/create", {"id": placed[each.handle]}))

    results = read(installation, tenant, other)
    (failed,) = [result for result in results if isinstance(result, StreamFailure)]
    assert failed.tenant_id == shop.handle
    assert installation.query("select tenant_id from raw.orders where id = any(%s)", list(placed.values())) == [
        (other_shop.handle,)
    ]
    tell(installation.database, shop, ("orders/updated", {"id": placed[shop.handle]}))
    with installation.database.connect() as connection:
        assert list(inbox.backlog(connection).tenant_ids) == [other_shop.handle], "its new events wait as well"

    shop.control.set_tokens(DEFAULT_TOKEN)
    make_due(installation)
    reports(installation, tenant)
    assert {status for status, _, _ in states(installation)} == {"in raw"}


def test_what_is_written_and_what_is_marked_go_together(
    installation: Installation, shop: Shop, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    (order,) = shop.control.place_order()["orders"]
    tell(installation.database, shop, ("orders/create", {"id": order}))
    with installation.database.connect() as connection:
        connection.execute("""
            create function pg_temp_refuse() returns trigger language plpgsql
            as $$ begin raise exception 'no marks today'; end $$;
            create trigger refuse before update of done_at on ops.webhook_inbox
            for each row when (new.done_at is not null) execute function pg_temp_refuse()
            """)
    (failure,) = read(installation, tenant)
    assert isinstance(failure, StreamFailure)
    assert installation.query("select id from raw.orders where id = %s", order) == []

    with installation.database.connect() as connection:
        connection.execute("drop trigger refuse on ops.webhook_inbox")
    make_due(installation)
    reports(installation, tenant)
    assert installation.query("select id from raw.orders where id = %s", order) == [(order,)]


def test_events_wait_for_the_history_of_their_stream(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    tell(installation.database, shop, ("orders/create", {"id": 1}))
    assert read(installation, tenant) == []
    installation.sync(tenant)
    assert len(read(installation, tenant)) == 1


def test_old_events_are_forgotten_once_they_are_settled(
    installation: Installation, shop: Shop, tenant: Tenant, make_database: Callable[[], Database]
) -> None:
    order = installation.value("select max(id) from raw.orders")
    for _ in range(2):
        tell(installation.database, shop, ("orders/updated", {"id": order}))
        reports(installation, tenant)
        with installation.database.connect() as connection:
            inbox.mark_in_marts(connection, [tenant.tenant_id], datetime.now(UTC))
            connection.execute("update ops.webhook_inbox set received_at = received_at - interval '20 days'")
    tell(installation.database, shop, ("orders/updated", {"id": order}))
    with installation.database.connect() as connection:
        assert inbox.purge(connection, timedelta(days=30)) == 1
    assert [status for status, _, _ in states(installation)] == ["in the marts", "waiting"]

    installation.execute("update ops.webhook_inbox set received_at = received_at - interval '40 days'")
    with installation.database.connect() as connection:
        connection.execute("update ops.webhook_inbox set in_marts_at = null")
        assert inbox.purge(connection, timedelta(days=30)) == 0, "they wait to be read"
        registry.set_status(connection, tenant.tenant_id, "suspended")
        assert inbox.purge(connection, timedelta(days=30)) == 2
