"""Tenants are subscribed to webhooks from their first minute, and the check names those of whom none may come."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from shopify_sandbox.spec import DEFAULT_SCOPES
from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.subscriptions import of, topics_at
from xeno_pipeline.defs.jobs.names import SUBSCRIPTIONS_JOB
from xeno_pipeline.defs.jobs.webhook_subscriptions import CHECK, subscriptions_check
from xeno_pipeline.defs.materializations import raw_key
from xeno_pipeline.shopify.subscriptions import TOPICS

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


def every_hour(location: Location) -> Any:
    """What the hourly schedule says."""
    schedule = location.definitions.resolve_schedule_def("hourly_webhook_subscriptions")
    with dg.build_schedule_context(instance=location.instance, resources=location.definitions.resources) as context:
        return schedule(context)


def check(location: Location) -> Any:
    """The newest evaluation of the check."""
    key = dg.AssetCheckKey(raw_key("carts"), CHECK)
    record = location.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    return record.event.dagster_event.asset_check_evaluation_data


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
    assert check(location).passed


def test_the_check_names_the_tenants_of_whom_no_webhooks_may_come(
    reachable: None, location: Location, shop: Shop, other_shop: Shop
) -> None:
    location.connect(shop, other_shop)
    shop.control.set_scopes(*(scope for scope in DEFAULT_SCOPES if scope != "read_customer_merge"))
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions").success

    evaluation = check(location)
    assert (evaluation.passed, evaluation.metadata["tenants"].value) == (False, [shop.handle])
    assert evaluation.description is not None
    assert f"{shop.handle}: customers/merge was refused" in evaluation.description


def test_without_a_public_address_nothing_is_done_and_nothing_warned_of(location: Location, shop: Shop) -> None:
    location.connect(shop)
    assert isinstance(new_tenants(location), dg.SkipReason)
    assert isinstance(every_hour(location), dg.SkipReason)
    assert location.run(SUBSCRIPTIONS_JOB, "ensure_subscriptions").success
    assert of(shop).list_all() == []


def test_the_check_says_what_is_wrong_with_each_tenant() -> None:
    assert subscriptions_check({}).passed
    result = subscriptions_check({"acme": "acme: it was refused.", "zeta": "zeta: it was not compared."})
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "acme: it was refused.\nzeta: it was not compared."
