"""What takes a store too long is asked for in smaller parts; what was read before one that never comes is kept."""

from __future__ import annotations

import time

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.events import reports as reports_of_events
from tests.support.events import states, tell
from tests.support.installation import Installation, Shop
from xeno_pipeline.extraction.report import StreamReport, no_progress
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import TimedOutError
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

IMPATIENT = RetryPolicy(deadline=0.5, longest_pause=0.05)


def touch(shop: Shop, installation: Installation, orders: int, *, beyond: int = 0) -> list[int]:
    """Change so many orders, and return their ids."""
    query = "select id from raw.orders order by id limit %s offset %s"
    ids = [id_ for (id_,) in installation.query(query, orders, beyond)]
    for id_ in ids:
        shop.control.update_order(id_, tags=["touched"])
    return ids


def touched(installation: Installation) -> list[int]:
    return [id_ for (id_,) in installation.query("select id from raw.orders where tags = '{touched}' order by id")]


def place_a_large_order(shop: Shop, installation: Installation) -> int:
    """An order whose lines do not fit its page, so that more of them are asked for."""
    variant = installation.value("select id from raw.product_variants limit 1")
    (order,) = shop.control.place_order(lines=[{"variant_id": variant, "quantity": 1}] * 25)["orders"]
    return order


def sync_orders(installation: Installation, tenant: Tenant) -> StreamReport:
    """Sync the orders with a client that gives up soon."""
    orders = next(stream for stream in STREAMS if stream.name == "orders")
    client = ShopifyClient(tenant=tenant.tenant_id, api_url=tenant.api_url, token=DEFAULT_TOKEN, retry_policy=IMPATIENT)
    return StreamSync(orders, tenant, client, installation.database, installation.spool, no_progress).run()


@pytest.mark.parametrize(("most", "orders"), [(40, 60), (7, 60), (1, 9)])
def test_all_changes_of_a_store_land_that_times_out_on_large_pages(
    installation: Installation, shop: Shop, tenant: Tenant, most: int, orders: int
) -> None:
    shop.control.set_clock(offset_seconds=60)
    ids = touch(shop, installation, orders)
    shop.control.fault("timeout", above=most, operation="OrdersPage", count=1000)
    began = time.monotonic()

    report = installation.sync(tenant, "orders")["orders"]

    assert touched(installation) == ids
    assert report.cursor_after is not None
    assert report.cursor_after > report.cursor_before  # type: ignore[operator]
    assert time.monotonic() - began < 30
    assert installation.sync(tenant, "orders")["orders"].rows_changed == 0


def test_a_history_in_pages_lands_too(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    shop.control.fault("refuse_ledger")
    shop.control.fault("timeout", above=3, operation="OrdersPage", count=1000)

    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 60


def test_a_history_lands_though_counting_takes_too_long(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    shop.control.fault("timeout", operation="OrdersCount", count=1000)
    assert installation.sync(tenant, "orders")["orders"].mode == "bulk"
    shop.control.fault("refuse_ledger")

    report = installation.sync(tenant, "orders", full=True)["orders"]

    assert report.mode == "pages"
    assert installation.value("select count(*) from raw.orders") == 60


def test_a_store_that_cannot_say_in_one_query_what_is_new_is_read_stream_by_stream(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    ids = touch(shop, installation, 2)
    shop.control.fault("timeout", operation="ChangeProbe", count=1000)

    reports = installation.sync(tenant)

    assert touched(installation) == ids
    assert reports["customers"].mode == "pages"


def test_what_came_before_a_page_that_never_comes_is_kept_and_the_next_sync_goes_on_there(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    shop.control.set_clock(offset_seconds=60)
    before = touch(shop, installation, 8)
    shop.control.set_clock(offset_seconds=600)  # beyond the overlap, in which all is read again
    large = place_a_large_order(shop, installation)
    shop.control.set_clock(offset_seconds=660)
    after = touch(shop, installation, 4, beyond=8)
    shop.control.fault("timeout", operation="OrderLineItems", count=1000)
    cursor = "select cursor_at from ops.sync_state where stream = 'orders'"
    cursor_before = installation.value(cursor)

    with pytest.raises(TimedOutError, match=f"OrderLineItems of gid://shopify/Order/{large} took Shopify too long"):
        sync_orders(installation, tenant)

    assert touched(installation) == before
    assert installation.query("select id from raw.orders where id = %s", large) == []
    assert installation.value(cursor) > cursor_before

    shop.control.clear_faults()
    sync_orders(installation, tenant)
    assert set(touched(installation)) == {*before, *after}
    assert installation.value("select count(*) from raw.order_line_items where order_id = %s", large) == 25
    assert set_aside(installation) == []


def set_aside(installation: Installation) -> list[tuple[str, str]]:
    return installation.query("select gid, reason from ops.set_aside")


def test_an_object_that_always_takes_too_long_is_set_aside_and_the_next_sync_goes_on_without_it(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    shop.control.set_clock(offset_seconds=600)
    large = place_a_large_order(shop, installation)
    shop.control.set_clock(offset_seconds=660)
    after = touch(shop, installation, 4)
    shop.control.fault("timeout", operation="OrderLineItems", count=1000)

    with pytest.raises(TimedOutError):
        sync_orders(installation, tenant)
    report = sync_orders(installation, tenant)

    assert touched(installation) == after
    assert report.cursor_after > report.cursor_before  # type: ignore[operator]
    assert set_aside(installation) == [(f"gid://shopify/Order/{large}", "it takes Shopify too long to answer")]

    shop.control.clear_faults()
    shop.control.update_order(large, tags=["lighter"])
    sync_orders(installation, tenant)
    assert installation.value("select count(*) from raw.order_line_items where order_id = %s", large) == 25
    assert set_aside(installation) == []


def test_a_first_history_in_pages_goes_on_where_it_broke_off(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant, "products")
    large = place_a_large_order(shop, installation)  # the newest change: it comes last
    shop.control.fault("refuse_ledger", count=2)
    shop.control.fault("timeout", operation="OrderLineItems", count=1000)

    with pytest.raises(TimedOutError):
        sync_orders(installation, tenant)

    assert installation.value("select count(*) from raw.orders") == 60
    shop.control.clear_faults()
    shop.control.fault("refuse_ledger")
    assert sync_orders(installation, tenant).tables["orders"].read < 60
    assert installation.value("select count(*) from raw.order_line_items where order_id = %s", large) == 25


def test_events_beside_one_whose_object_takes_too_long_are_done(
    installation: Installation, shop: Shop, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy, "QUICK", IMPATIENT)
    large = place_a_large_order(shop, installation)
    others = touch(shop, installation, 4)
    ids = [*others[:2], large, *others[2:]]
    shop.control.fault("timeout", operation="OrderLineItems", count=1000)
    tell(installation.database, shop, *(("orders/updated", {"id": id_}) for id_ in ids))

    report = reports_of_events(installation, tenant)[tenant.tenant_id, "orders"]

    assert touched(installation) == sorted(others)
    (note,) = report.notes
    assert f"OrdersById of gid://shopify/Order/{large} took Shopify too long" in note
    assert states(installation) == [
        *[("in raw", 0, None)] * 2,
        ("to be tried again", 1, note),
        *[("in raw", 0, None)] * 2,
    ]
