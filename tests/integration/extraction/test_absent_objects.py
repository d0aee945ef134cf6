"""Events of objects that Shopify does not show: of what can never be read nobody is alarmed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopify_sandbox.spec import DEFAULT_SCOPES
from tests.support.events import make_due, reports, states, tell, tell_merge
from tests.support.installation import Installation, Shop
from xeno_pipeline.extraction import inbox
from xeno_pipeline.monitoring import checks
from xeno_pipeline.monitoring.checks import evaluate
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.registry import Tenant

FEWER_SCOPES = tuple(scope for scope in DEFAULT_SCOPES if scope != "read_all_orders")
NOT_VISIBLE = ("not visible", 0, "It is older than 60 days, and the token lacks the access scope read_all_orders.")


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def placed(shop: Shop, days: float) -> int:
    """A new order, created so many days ago when nobody looked."""
    (order,) = shop.control.place_order()["orders"]
    shop.control.backdate("Order", order, days_ago(days))
    return int(order)


def alarms(installation: Installation) -> list[str]:
    """What the checks of webhooks say of those that came an hour ago."""
    with installation.database.connect() as connection:
        connection.execute("update ops.webhook_inbox set received_at = received_at - interval '1 hour'")
        found = [evaluate(connection, Settings(), check) for check in (checks.PROCESSING, checks.DEAD_LETTERS)]
        connection.rollback()
    return [finding.message for findings in found for finding in findings]


def read_until_settled(installation: Installation, tenant: Tenant) -> None:
    for _ in range(inbox.DEAD_AFTER):
        make_due(installation)
        reports(installation, tenant)
        assert alarms(installation) == []


@pytest.fixture
def hidden(shop: Shop) -> int:
    """An order that a token without `read_all_orders` does not see; a newer one it does."""
    orders = placed(shop, 90), placed(shop, 30)
    assert orders[0] < orders[1]
    return orders[0]


@pytest.fixture
def tenant(installation: Installation, shop: Shop, hidden: int) -> Tenant:
    """A tenant whose token never saw more than sixty days."""
    shop.control.set_scopes(*FEWER_SCOPES)
    tenant = installation.connect(shop)
    installation.sync(tenant)
    assert installation.query("select id from raw.orders where id = %s", hidden) == []
    return tenant


def edited(order: int) -> dict[str, Any]:
    return {"order_edit": {"order_id": order}}


OF_AN_OLD_ORDER: list[tuple[str, Callable[[int], dict[str, Any]]]] = [
    ("orders/updated", lambda order: {"id": order, "created_at": days_ago(90), "updated_at": days_ago(0)}),
    ("orders/fulfilled", lambda order: {"id": order, "created_at": days_ago(90), "updated_at": days_ago(0)}),
    ("orders/updated", lambda order: {"id": order, "created_at": "noon", "updated_at": None}),
    ("refunds/create", lambda order: {"order_id": order, "created_at": days_ago(0)}),
    ("orders/edited", edited),
]


@pytest.mark.parametrize(
    ("topic", "payload"), OF_AN_OLD_ORDER, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_order_that_is_too_old_for_the_token_is_known_for_that_at_once(
    installation: Installation, shop: Shop, tenant: Tenant, hidden: int, topic: str, payload: Any
) -> None:
    tell(installation.database, shop, (topic, payload(hidden)))
    reports(installation, tenant)
    assert states(installation) == [NOT_VISIBLE]
    assert alarms(installation) == []
    with installation.database.connect() as connection:
        assert inbox.backlog(connection).tenant_ids == []


def test_what_one_event_says_of_an_orders_age_goes_for_the_others(
    installation: Installation, shop: Shop, tenant: Tenant, hidden: int
) -> None:
    installation.execute("delete from raw.orders")  # no order is left to compare numbers with
    updated = {"id": hidden, "created_at": days_ago(90)}
    tell(installation.database, shop, ("orders/edited", edited(hidden)), ("orders/updated", updated))
    reports(installation, tenant)
    assert states(installation) == [NOT_VISIBLE] * 2


def test_an_order_in_raw_that_has_grown_too_old_meanwhile_stays_as_it_was_last_seen(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    seen = installation.value("select max(id) from raw.orders where created_at < now() - interval '20 days'")
    installation.execute("update raw.orders set created_at = now() - interval '61 days' where id = %s", seen)
    shop.control.backdate("Order", seen, days_ago(61))
    before = installation.row_versions()
    tell(installation.database, shop, ("refunds/create", {"order_id": seen, "created_at": days_ago(0)}))
    reports(installation, tenant)
    assert states(installation) == [NOT_VISIBLE]
    assert installation.row_versions() == before


def test_a_new_order_that_is_not_shown_yet_is_tried_again_whatever_the_token_sees(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    (order,) = shop.control.place_order()["orders"]
    shop.control.backdate("Order", order, days_ago(61))  # not shown yet, as Shopify's replicas have it
    told = {"id": order, "created_at": days_ago(0)}
    tell(installation.database, shop, ("orders/create", told), ("orders/edited", edited(order)))
    reports(installation, tenant)
    assert [status for status, *_ in states(installation)] == ["to be tried again"] * 2

    shop.control.backdate("Order", order, days_ago(0))
    make_due(installation)
    reports(installation, tenant)
    assert {(status, error) for status, _, error in states(installation)} == {("in raw", None)}


def test_an_old_order_of_which_nothing_is_known_raises_no_alarm_either(
    installation: Installation, shop: Shop, tenant: Tenant, hidden: int
) -> None:
    installation.execute("delete from raw.orders")
    tell(installation.database, shop, ("orders/edited", edited(hidden)))
    read_until_settled(installation, tenant)
    ((status, attempts, _),) = states(installation)
    assert (status, attempts) == ("not found", inbox.DEAD_AFTER)


def test_where_the_token_has_gained_the_scope_the_order_lands_whatever_is_known_of_it(
    installation: Installation, shop: Shop, tenant: Tenant, hidden: int
) -> None:
    shop.control.set_scopes(*DEFAULT_SCOPES)
    tell(installation.database, shop, ("orders/updated", {"id": hidden, "created_at": days_ago(90)}))
    reports(installation, tenant)  # the tenant's own scopes are those from before
    assert states(installation) == [("in raw", 0, None)]
    assert installation.query("select id from raw.orders where id = %s", hidden) == [(hidden,)]


@pytest.mark.parametrize(
    ("kind", "topic"), [("Order", "orders/updated"), ("Customer", "customers/update"), ("Product", "products/update")]
)
def test_what_was_deleted_without_a_word_is_settled_in_the_end_without_an_alarm(
    installation: Installation, shop: Shop, kind: str, topic: str
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    number = installation.value(f"select max(id) from raw.{topic.partition('/')[0]}")
    shop.control.vanish(kind, number)
    tell(installation.database, shop, (topic, {"id": number, "created_at": days_ago(90)}))
    reports(installation, tenant)
    assert [status for status, *_ in states(installation)] == ["to be tried again"], "it may be too new"
    read_until_settled(installation, tenant)
    ((status, _, error),) = states(installation)
    assert (status, error) == ("not found", "Shopify does not show it: it is too new to be found, or was deleted.")


def test_whoever_was_merged_into_a_customer_who_is_deleted_by_now_is_gone_without_an_alarm(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    (loser,), (winner,) = (shop.control.create_customer()["customers"] for _ in range(2))
    installation.sync(tenant)
    for number in (loser, winner):
        shop.control.vanish("Customer", number)
    tell_merge(installation.database, shop, kept=winner, deleted=loser)
    read_until_settled(installation, tenant)
    assert [status for status, *_ in states(installation)] == ["not found"]
    assert installation.value("select deleted_at is not null from raw.customers where id = %s", loser)


def test_a_stream_that_cannot_be_read_is_an_alarm_though_its_object_was_not_found_before(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    tell(installation.database, shop, ("products/update", {"id": 1}))
    reports(installation, tenant)
    with installation.database.connect() as connection:
        inbox.record_failures(connection, [1], "The store is away.", is_held=True)
    assert alarms(installation) == ["products: 1 webhook(s) waiting over ten minutes: The store is away."]
