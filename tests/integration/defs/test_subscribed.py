"""The webhooks of a subscribed store, from its cart to the marts: sandbox and gateway are real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import SECRET, GatewayProcess
from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.subscriptions import register_at
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, SYNC_JOB

pytestmark = pytest.mark.thorough

SECONDS = 60
"""For deliveries to be answered. They take milliseconds, but on a machine that runs all tests at once."""


@pytest.fixture
def subscribed(location: Location, shop: Shop, tmp_path: Path) -> Iterator[Location]:
    """A store that is synced, and subscribed to send its webhooks to a gateway."""
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    with GatewayProcess(location.installation.database.url, tmp_path) as gateway:
        shop.control.set_app("sandbox-app", SECRET)
        (done,) = register_at(
            location.installation, f"{gateway.url}/webhooks/shopify", *location.installation.tenants()
        )
        assert done.error is None
        yield location


def take_events(location: Location, shop: Shop) -> None:
    """Wait until the store's webhooks are answered, and run the job that takes them to the marts."""
    deadline = time.monotonic() + SECONDS
    while shop.control.webhooks()["waiting"]:
        assert time.monotonic() < deadline, shop.control.webhooks()
        time.sleep(0.02)
    assert shop.control.webhooks()["refused"] == 0
    assert location.definitions.resolve_job_def(EVENTS_JOB).execute_in_process(instance=location.instance).success


def test_a_cart_is_abandoned_when_time_passes_and_no_longer_when_it_is_ordered(
    subscribed: Location, shop: Shop
) -> None:
    query = "select line_count, units, value > 0, is_abandoned, abandoned_at - updated_at from marts.abandoned_carts"
    shop.control.set_clock(offset_seconds=-3590)
    (cart,) = shop.control.fill_cart(lines=2)["carts"]
    shop.control.change_cart(cart, lines=3)
    take_events(subscribed, shop)
    ((lines, units, is_worth, is_abandoned, age),) = subscribed.installation.query(query)
    assert (lines, units, is_worth) == (3, 3, True)

    deadline = time.monotonic() + SECONDS
    while not is_abandoned:
        assert time.monotonic() < deadline, "its hour is over in ten seconds, and nothing but time passes"
        time.sleep(0.1)
        ((*_, is_abandoned, age),) = subscribed.installation.query(query)
    assert age.total_seconds() == 3600

    shop.control.order_cart(cart)
    take_events(subscribed, shop)
    assert [row[3:] for row in subscribed.installation.query(query)] == [(False, None)]


def test_a_shop_in_another_time_zone_has_its_marts_rebuilt(subscribed: Location, shop: Shop) -> None:
    shop.control.update_shop(timezone="Pacific/Kiritimati")
    take_events(subscribed, shop)
    assert subscribed.installation.value("select iana_timezone from marts.dim_tenants") == "Pacific/Kiritimati"
    ((days,),) = subscribed.installation.query(
        "select count(*) from marts.fct_orders where ordered_on <> (ordered_at at time zone 'Pacific/Kiritimati')::date"
    )
    assert days == 0


def test_a_store_that_uninstalls_the_app_is_no_longer_read(subscribed: Location, shop: Shop) -> None:
    shop.control.uninstall()
    take_events(subscribed, shop)
    assert [tenant.status for tenant in subscribed.installation.tenants()] == ["suspended"]
    assert subscribed.instance.get_dynamic_partitions("tenants") == []
    assert subscribed.installation.value("select count(*) from ops.webhook_subscriptions") == 0
