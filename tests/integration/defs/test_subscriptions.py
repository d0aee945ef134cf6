"""Tenants are subscribed to webhooks from their first minute, and the check names those that are not."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from shopify_sandbox.spec import DEFAULT_SCOPES
from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.subscriptions import of, topics_at
from xeno_pipeline.defs.jobs.names import SUBSCRIPTIONS_JOB, SYNC_JOB
from xeno_pipeline.monitoring.checks import SUBSCRIPTIONS, evaluate
from xeno_pipeline.settings import load_settings
from xeno_pipeline.shopify.subscriptions import TOPICS

pytestmark = pytest.mark.thorough

OURS = "https://xeno.example/webhooks/shopify"


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shopify reaches the gateway; to be asked for before the location, which reads the settings."""
    monkeypatch.setenv("XENO_PUBLIC_URL", "https://xeno.example")


def new_tenants(location: Location) -> Any:
    """What the sensor for new tenants says."""
    sensor = location.definitions.resolve_sensor_def("new_webhook_subscriptions")
    with dg.build_sensor_context(instance=location.instance, resources=location.definitions.resources) as context:
        return sensor(context)


def requested_syncs(location: Location) -> Any:
    """What the sensor for requested syncs says."""
    sensor = location.definitions.resolve_sensor_def("requested_syncs")
    with dg.build_sensor_context(instance=location.instance, resources=location.definitions.resources) as context:
        return sensor(context)


def every_hour(location: Location) -> Any:
    """What the hourly schedule says."""
    schedule = location.definitions.resolve_schedule_def("hourly_webhook_subscriptions")
    with dg.build_schedule_context(instance=location.instance, resources=location.definitions.resources) as context:
        return schedule(context)


def unsubscribed(location: Location) -> list[tuple[str | None, str]]:
    """What the check finds."""
    with location.installation.database.connect() as connection:
        findings = evaluate(connection, load_settings(), SUBSCRIPTIONS)
    return [(finding.tenant_id, finding.message) for finding in findings]


def test_new_tenants_are_subscribed_in_one_run_and_then_left_to_the_hourly_one(
    reachable: None, location: Location, shop: Shop, other_shop: Shop
) -> None:
    location.connect(shop, other_shop)
    request = new_tenants(location)
    assert request.run_config["ops"]["ensure_subscriptions"]["config"]["tenants"] == [
        shop.handle,
        other_shop.handle,
    ]
    assert new_tenants(location).run_key == request.run_key, "one run for a connection"
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions", tenants=[shop.handle, other_shop.handle]).success

    assert topics_at(shop, OURS) == topics_at(other_shop, OURS) == sorted(TOPICS)
    assert isinstance(new_tenants(location), dg.SkipReason)
    assert not isinstance(every_hour(location), dg.SkipReason)
    assert unsubscribed(location) == []


def test_what_changed_between_a_stores_first_read_and_its_subscription_is_read(
    reachable: None, location: Location, shop: Shop
) -> None:
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", tenants=[shop.handle]).success
    (missed,) = shop.control.place_order()["orders"]
    assert isinstance(requested_syncs(location), dg.SkipReason)
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions", tenants=[shop.handle]).success

    (request,) = requested_syncs(location)
    job = location.definitions.resolve_job_def(SYNC_JOB)
    assert job.execute_in_process(instance=location.instance, run_config=request.run_config).success
    assert location.installation.value("select count(*) from marts.fct_orders where order_id = %s", missed) == 1
    assert isinstance(requested_syncs(location), dg.SkipReason)


def test_the_check_names_the_tenants_that_lack_subscriptions(
    reachable: None, location: Location, shop: Shop, other_shop: Shop
) -> None:
    location.connect(shop, other_shop)
    shop.control.set_scopes(*(scope for scope in DEFAULT_SCOPES if scope != "read_customer_merge"))
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions").success

    ((tenant, message),) = unsubscribed(location)
    assert tenant == shop.handle
    assert message.startswith("customers/merge was refused")


def test_without_a_public_address_nothing_is_done_and_nothing_warned_of(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert isinstance(new_tenants(location), dg.SkipReason)
    assert isinstance(every_hour(location), dg.SkipReason)
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions").success
    assert of(shop).list_all() == []
