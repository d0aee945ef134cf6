"""The mandatory privacy webhooks are verified and kept like any other, without the email and phone that they carry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway_process import GatewayProcess
from tests.support.installation import Installation

SHOP = {"shop_id": 954889, "shop_domain": "acme.myshopify.com"}
CUSTOMER = {"customer": {"id": 191167, "email": "john@example.com", "phone": "555-625-1199"}}
DATA_REQUEST = {**SHOP, **CUSTOMER, "orders_requested": [299938, 280263], "data_request": {"id": 9999}}
CUSTOMER_REDACT = {**SHOP, **CUSTOMER, "orders_to_redact": [299938, 280263]}
"""Shopify's own examples."""

TOPICS = [("customers/data_request", DATA_REQUEST), ("customers/redact", CUSTOMER_REDACT), ("shop/redact", SHOP)]


def audit(kept: Installation, webhook_id: str) -> list[tuple[Any, ...]]:
    columns = "tenant_id, kind, customer_id, order_ids, data_request_id, done_at is not null, outcome"
    return kept.query(f"select {columns} from ops.privacy_requests where webhook_id = %s", webhook_id)


@pytest.mark.parametrize(("topic", "payload"), TOPICS)
def test_each_is_refused_without_a_signature(
    gateway: GatewayProcess, kept: Installation, topic: str, payload: dict[str, Any]
) -> None:
    assert gateway.deliver(payload, topic=topic, secret="another", webhook_id=f"forged {topic}").status_code == 401
    assert audit(kept, f"forged {topic}") == []


@pytest.mark.parametrize(("topic", "payload"), TOPICS)
def test_each_is_answered_200_and_is_one_row_of_the_audit_however_often_it_comes(
    gateway: GatewayProcess, kept: Installation, topic: str, payload: dict[str, Any]
) -> None:
    payload = {**payload, "data_request": {"id": 1}}
    for _ in range(2):
        assert gateway.deliver(payload, topic=topic, webhook_id=f"again/{topic}").status_code == 200
    ((tenant, kind, *_, is_done, outcome),) = audit(kept, f"again/{topic}")
    assert (tenant, kind, is_done, outcome) == ("acme", topic, False, None)


def test_ids_are_kept_and_nothing_else_of_the_person(gateway: GatewayProcess, kept: Installation) -> None:
    gateway.deliver(DATA_REQUEST, topic="customers/data_request", webhook_id="ids")
    assert audit(kept, "ids") == [("acme", "customers/data_request", 191167, [280263, 299938], 9999, False, None)]
    (days,) = kept.query("select deadline_at - received_at from ops.privacy_requests where webhook_id = 'ids'")[0]
    assert days.total_seconds() == pytest.approx(30 * 86400, abs=1)
    everything = str(kept.query("select r::text from ops.privacy_requests r")) + str(gateway.log())
    assert "john" not in everything
    assert "625-1199" not in everything


def test_a_data_request_that_shopify_delivers_anew_is_kept_once(gateway: GatewayProcess, kept: Installation) -> None:
    payload = {**DATA_REQUEST, "data_request": {"id": 77}}
    for webhook_id in ("first", "second"):
        assert gateway.deliver(payload, topic="customers/data_request", webhook_id=webhook_id).status_code == 200
    assert (len(audit(kept, "first")), len(audit(kept, "second"))) == (1, 0)


def test_two_data_requests_of_one_number_about_two_customers_are_two(
    gateway: GatewayProcess, kept: Installation
) -> None:
    for number in (1, 2):
        payload = {**DATA_REQUEST, "data_request": {"id": 78}, "customer": {"id": number}}
        gateway.deliver(payload, topic="customers/data_request", webhook_id=f"sample-{number}")
        assert [row[2] for row in audit(kept, f"sample-{number}")] == [number]


def test_a_renamed_shop_is_known_by_its_id(gateway: GatewayProcess, kept: Installation) -> None:
    payload = {**CUSTOMER_REDACT, "shop_id": 1}
    gateway.deliver(payload, topic="customers/redact", shop="acme-2.myshopify.com", webhook_id="renamed")
    assert [row[0] for row in audit(kept, "renamed")] == ["acme"]


def test_of_an_unknown_shop_there_is_an_audit_and_nothing_to_do(gateway: GatewayProcess, kept: Installation) -> None:
    answer = gateway.deliver(SHOP, topic="shop/redact", shop="stranger.myshopify.com", webhook_id="stranger")
    assert answer.status_code == 200
    ((tenant, *_, is_done, outcome),) = audit(kept, "stranger")
    assert (tenant, is_done) == (None, True)
    assert outcome.startswith("nothing held")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        *(("shop/redact", {}), ("shop/redact", {"shop_id": "954889"}), ("shop/redact", {"shop_id": 2**63})),
        *(("customers/redact", SHOP), ("customers/redact", {**SHOP, "customer": {"id": True}})),
        *(("customers/redact", {**CUSTOMER_REDACT, "orders_to_redact": ["x"]}), ("customers/redact", [])),
        ("customers/data_request", {**DATA_REQUEST, "data_request": None}),
    ],
)
def test_a_malformed_one_is_answered_400(gateway: GatewayProcess, topic: str, payload: Any) -> None:
    assert gateway.deliver(payload, topic=topic).status_code == 400
