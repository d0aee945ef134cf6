"""What the gateway answers to a delivery, and what it keeps of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.support.gateway_process import PREVIOUS_SECRET, GatewayProcess
from tests.support.installation import Installation
from tests.support.payloads import CART, ORDER
from xeno_pipeline.gateway.app import MAX_BODY_BYTES
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant


def kept_rows(kept: Installation, webhook_id: str) -> list[tuple[Any, ...]]:
    columns = "tenant_id, topic, stream, read_gid, deleted_gid, changed_at::text"
    return kept.query(f"select {columns} from ops.webhook_inbox where webhook_id = %s", webhook_id)


def test_a_signed_delivery_is_kept_and_answered_200(gateway: GatewayProcess, kept: Installation) -> None:
    assert gateway.deliver(ORDER, webhook_id="first").status_code == 200
    ((tenant, topic, stream, read, deleted, changed_at),) = kept_rows(kept, "first")
    assert (tenant, topic, stream) == ("acme", "orders/updated", "orders")
    assert (read, deleted) == ("gid://shopify/Order/820982911946154508", None)
    assert changed_at.startswith("2026-06-30 1")


def test_the_secret_before_is_accepted_while_it_is_being_rotated(gateway: GatewayProcess) -> None:
    assert gateway.deliver(ORDER, secret=PREVIOUS_SECRET).status_code == 200


@pytest.mark.parametrize("signature", [None, "", "bm9uZQ==", "ä".encode("latin-1").decode("latin-1")])
def test_a_bad_or_missing_signature_is_answered_401(
    gateway: GatewayProcess, kept: Installation, signature: str | None
) -> None:
    answer = gateway.deliver(ORDER, webhook_id="forged", X_Shopify_Hmac_Sha256=signature)
    assert answer.status_code == 401
    assert kept_rows(kept, "forged") == []


def test_the_signature_is_of_the_very_bytes_that_came(gateway: GatewayProcess) -> None:
    spaced = b'{ "id": 7,\r\n "updated_at": null }'
    assert gateway.deliver(spaced).status_code == 200
    assert gateway.deliver(spaced, secret="another").status_code == 401


@pytest.mark.parametrize("header", ["X_Shopify_Topic", "X_Shopify_Shop_Domain", "X_Shopify_Webhook_Id"])
def test_a_missing_header_is_answered_400(gateway: GatewayProcess, header: str) -> None:
    missing: dict[str, Any] = {header: None}
    assert gateway.deliver(ORDER, **missing).status_code == 400


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"{", b"[]", b"\xff", b"[" * 100_000),
        *({}, {"id": "7"}, {"id": 0}, {"id": 2**63}, {"id": True}, {"id": 1e3}),
        *({"admin_graphql_api_id": "gid://shopify/Customer/7"}, {"id": 7, "updated_at": "noon"}),
        *({"id": 7, "updated_at": "2026-06-30T12:00:00"}, {"id": 7, "updated_at": "0001-01-01T00:00:00+14:00"}),
    ],
    ids=lambda payload: str(payload)[:40],
)
def test_a_malformed_body_is_answered_400(gateway: GatewayProcess, payload: Any) -> None:
    assert gateway.deliver(payload).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None, "token": None},
        {"token": "c 1"},
        {"token": "?key=k"},
        {"updated_at": "noon"},
        {"updated_at": "2026-06-30T12:00:00"},
        {"line_items": None},
        {"line_items": [{"quantity": -1}]},
        {"line_items": [{"quantity": 1, "line_price": "1e9"}]},
        {"line_items": [{"quantity": 1}] * 501},
    ],
    ids=str,
)
def test_what_is_no_cart_is_answered_400_and_not_quoted(gateway: GatewayProcess, wrong: dict[str, Any]) -> None:
    answer = gateway.deliver(CART | wrong, topic="carts/update")
    assert answer.status_code == 400
    assert "ada" not in answer.text.lower()


def test_a_cart_is_kept_without_what_tells_of_a_person(gateway: GatewayProcess, kept: Installation) -> None:
    assert gateway.deliver(CART, topic="carts/update", webhook_id="cart").status_code == 200
    payload = kept.value("select payload::text from ops.webhook_inbox where webhook_id = 'cart'")
    assert "Mug" in payload
    assert "ada" not in payload.lower()


def test_a_shop_that_was_renamed_tells_so_under_its_new_name(gateway: GatewayProcess, kept: Installation) -> None:
    new = {"shop": "acme-2.myshopify.com", "topic": "shop/update"}
    assert gateway.deliver({"id": 1}, webhook_id="renamed", **new).status_code == 200
    assert [row[0] for row in kept_rows(kept, "renamed")] == ["acme"]
    assert gateway.deliver({"id": 2}, webhook_id="another", **new).status_code == 200
    assert kept_rows(kept, "another") == []


def test_a_shop_is_known_by_its_former_domain_unless_the_body_names_another(
    gateway: GatewayProcess, kept: Installation
) -> None:
    with kept.database.connect() as connection:
        registry.add_domain(connection, "acme", "acme-former.myshopify.com")
    former = {"shop": "acme-former.myshopify.com"}
    for webhook_id, topic, payload, tenants in (
        ("former/order", "orders/updated", ORDER, ["acme"]),
        ("former/shop", "shop/update", {"id": 1, "myshopify_domain": "acme.myshopify.com"}, ["acme"]),
        ("former/another", "app/uninstalled", {"id": 9, "myshopify_domain": "acme-former.myshopify.com"}, []),
    ):
        assert gateway.deliver(payload, webhook_id=webhook_id, topic=topic, **former).status_code == 200
        assert [row[0] for row in kept_rows(kept, webhook_id)] == tenants


def test_a_former_domain_that_is_anothers_by_now_is_that_ones(gateway: GatewayProcess, kept: Installation) -> None:
    facts = ("gid://shopify/Shop/5", "taken.myshopify.com", "http://127.0.0.1:9/t", "T", "EUR", "UTC", "Plus", [])
    with kept.database.connect() as connection:
        registry.add_domain(connection, "acme", "taken.myshopify.com")
        registry.add(connection, Tenant("taker", *facts))
    assert gateway.deliver(ORDER, webhook_id="taken", shop="taken.myshopify.com").status_code == 200
    assert [row[0] for row in kept_rows(kept, "taken")] == ["taker"]


def test_what_is_signed_of_one_shop_cannot_be_sent_in_anothers_name(
    gateway: GatewayProcess, kept: Installation
) -> None:
    facts = (
        "gid://shopify/Shop/3",
        "other.myshopify.com",
        "http://127.0.0.1:9/other",
        "Other",
        "EUR",
        "UTC",
        "Plus",
        [],
    )
    with kept.database.connect() as connection:
        registry.add(connection, Tenant("other", *facts))
    acme = {"id": 1, "myshopify_domain": "acme.myshopify.com"}
    shop = "other.myshopify.com"
    assert gateway.deliver(acme, webhook_id="forged", shop=shop, topic="app/uninstalled").status_code == 200
    assert kept_rows(kept, "forged") == []


def test_shopifys_samples_are_of_the_shop_that_they_are_sent_for(gateway: GatewayProcess, kept: Installation) -> None:
    sample = {"id": 548380009, "name": "Super Toys", "myshopify_domain": None}
    for topic in ("shop/update", "app/uninstalled"):
        assert gateway.deliver(sample, webhook_id=f"sample/{topic}", topic=topic).status_code == 200
        assert [row[0] for row in kept_rows(kept, f"sample/{topic}")] == ["acme"]


def test_a_delivery_that_comes_again_is_kept_once(gateway: GatewayProcess, kept: Installation) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.deliver(ORDER, webhook_id="again"), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(kept_rows(kept, "again")) == 1


def test_many_deliveries_at_once_are_all_kept(gateway: GatewayProcess, kept: Installation) -> None:
    names = [str(uuid4()) for _ in range(200)]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda name: gateway.deliver(ORDER, webhook_id=name), names))
    assert {answer.status_code for answer in answers} == {200}
    assert kept.value("select count(*) from ops.webhook_inbox where webhook_id = any(%s)", names) == len(names)


def test_a_signed_delivery_of_an_unknown_shop_is_answered_200_and_dropped(
    gateway: GatewayProcess, kept: Installation
) -> None:
    assert gateway.deliver(ORDER, shop="nobody.myshopify.com", webhook_id="lost").status_code == 200
    assert kept_rows(kept, "lost") == []
    assert [line["outcome"] for line in gateway.log() if line.get("webhook_id") == "lost"] == ["unknown_shop"]


def test_a_delivery_that_is_too_large_is_answered_413_however_it_comes(gateway: GatewayProcess) -> None:
    large = b" " * (MAX_BODY_BYTES + 1)
    assert gateway.deliver(large).status_code == 413
    in_chunks = requests.post(f"{gateway.url}/webhooks/shopify", data=iter([large[:-9], b" " * 99]), timeout=30)
    assert in_chunks.status_code == 413


@pytest.mark.parametrize(
    ("topic", "payload", "stream", "read", "deleted"),
    [
        ("orders/create", {"id": 7}, "orders", "gid://shopify/Order/7", None),
        ("orders/delete", {"id": 7}, "orders", None, "gid://shopify/Order/7"),
        ("orders/cancelled", {"id": 7}, "orders", "gid://shopify/Order/7", None),
        ("orders/edited", {"order_edit": {"id": 8, "order_id": 7}}, "orders", "gid://shopify/Order/7", None),
        ("refunds/create", {"id": 8, "order_id": 7}, "orders", "gid://shopify/Order/7", None),
        ("customers/update", {"id": 7}, "customers", "gid://shopify/Customer/7", None),
        ("customers/delete", {"id": 7}, "customers", None, "gid://shopify/Customer/7"),
        ("products/update", {"id": 7}, "products", "gid://shopify/Product/7", None),
        ("checkouts/update", {"token": "t"}, "abandoned_checkouts", None, None),
        ("carts/create", CART, "carts", None, None),
        ("carts/update", CART, "carts", None, None),
        ("shop/update", {"id": 1}, "shop", None, None),
        ("app/uninstalled", {"id": 1}, "app", None, None),
        (
            "customers/merge",
            {
                "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
                "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2",
                "status": "completed",
            },
            "customers",
            "gid://shopify/Customer/1",
            "gid://shopify/Customer/2",
        ),
    ],
)
def test_each_topic_names_what_is_to_be_read_and_what_is_gone(
    gateway: GatewayProcess,
    kept: Installation,
    topic: str,
    payload: Any,
    stream: str,
    read: str | None,
    deleted: str | None,
) -> None:
    name = f"of {topic}".replace(" ", "-")
    assert gateway.deliver(payload, topic=topic, webhook_id=name).status_code == 200
    assert kept_rows(kept, name) == [("acme", topic, stream, read, deleted, None)]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("customers/merge", {"status": "failed"}),
        ("orders/risk_assessment_changed", {"order_id": 7}),
        ("bulk_operations/finish", {"admin_graphql_api_id": "gid://shopify/BulkOperation/7", "status": "completed"}),
        ("nothing", {}),
    ],
)
def test_what_asks_for_nothing_is_answered_200_and_not_kept(
    gateway: GatewayProcess, kept: Installation, topic: str, payload: Any
) -> None:
    assert gateway.deliver(payload, topic=topic, webhook_id=f"no-{topic}").status_code == 200
    assert kept_rows(kept, f"no-{topic}") == []


def test_nobody_is_sent_on_to_where_the_host_header_says(gateway: GatewayProcess) -> None:
    answer = requests.get(
        f"{gateway.url}/healthz/", headers={"Host": "evil.example"}, allow_redirects=False, timeout=30
    )
    assert (answer.status_code, "Location" in answer.headers) == (404, False)


def test_the_log_names_the_request_and_nobody(gateway: GatewayProcess) -> None:
    answer = gateway.deliver(ORDER, webhook_id="logged")
    (line,) = [line for line in gateway.log() if line.get("webhook_id") == "logged"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert (line["outcome"], line["status"], line["shop"]) == ("stored", 200, "acme.myshopify.com")
    written = str(gateway.log())
    assert "ada@example.com" not in written
    assert "shpss_" not in written


def test_the_gateway_counts_what_it_answered(gateway: GatewayProcess) -> None:
    def stored() -> float:
        lines = gateway.get("/metrics").text.splitlines()
        counted = 'xeno_webhooks_total{outcome="stored"}'
        return next(float(line.split()[1]) for line in lines if line.startswith(counted))

    gateway.deliver(ORDER)
    before = stored()
    gateway.deliver(ORDER)
    assert stored() == before + 1
