"""Events of what no stream reads by its id: carts, the shop, the app; and more of them than are read by their ids."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.events import FUTURE, make_due, read, reports, states, tell, tell_merge
from tests.support.installation import Installation, Shop
from xeno_pipeline.extraction import events, inbox
from xeno_pipeline.extraction.events import apply_uninstallations
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.onboarding import replace_token
from xeno_pipeline.tenants.registry import Tenant

LINE = {
    "id": 1,
    "product_id": 2,
    "variant_id": 3,
    "sku": "MUG",
    "title": "Mug",
    "quantity": 2,
    "properties": {"engraving": "For Ada Lovelace"},
    "line_price": "39.98",
    "line_price_set": {
        "shop_money": {"amount": "39.98", "currency_code": "EUR"},
        "presentment_money": {"amount": "45.00", "currency_code": "USD"},
    },
}


def cart(updated_at: str, *lines: dict[str, Any], token: str = "c1?key=opens-the-cart") -> dict[str, Any]:
    return {
        "id": token,
        "token": token,
        "line_items": list(lines),
        "note": "Ring at Lovelace's",
        "customer": {"email": "ada@example.com"},
        "created_at": "2026-06-30T10:00:00.000Z",
        "updated_at": updated_at,
    }


def test_of_a_carts_payloads_the_newest_is_kept_however_they_come(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    tell(installation.database, shop, ("carts/update", cart("2026-06-30T10:09:00Z", LINE, LINE)))
    reports(installation, tenant)
    tell(
        installation.database,
        shop,
        ("carts/update", cart("2026-06-30T10:05:00Z")),
        ("carts/create", cart("2026-06-30T10:00:00Z", LINE)),
        ("carts/create", cart("2026-06-30T10:00:00Z", LINE, token="c2")),
    )
    report = reports(installation, tenant)[tenant.tenant_id, "carts"]

    assert (report.requests, report.tables["carts"].inserted, report.tables["carts"].updated) == (0, 1, 0)
    assert installation.query(
        "select cart_id, updated_at, jsonb_array_length(payload -> 'line_items') from raw.carts order by 1"
    ) == [("c1", datetime(2026, 6, 30, 10, 9, tzinfo=UTC), 2), ("c2", datetime(2026, 6, 30, 10, tzinfo=UTC), 1)]
    assert states(installation) == [("in raw", 0, None)] * 4


def test_nothing_of_a_person_is_kept_of_a_cart_nor_what_opens_it(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    tell(installation.database, shop, ("carts/create", cart("2026-06-30T10:00:00Z", LINE)))
    kept = installation.value("select inbox::text from ops.webhook_inbox inbox")
    reports(installation, tenant)
    kept += installation.value("select carts::text from raw.carts") + str(
        installation.query("select * from ops.webhook_inbox")
    )
    for secret in ("Lovelace", "ada@", "opens-the-cart"):
        assert secret not in kept
    assert installation.value("select payload from ops.webhook_inbox") is None, "it is in raw now"


def test_carts_land_where_the_store_cannot_be_read(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    shop.control.set_tokens("shpat_another")
    tell(
        installation.database,
        shop,
        ("orders/create", {"id": 1}),
        ("carts/create", cart("2026-06-30T10:00:00Z", LINE)),
    )
    results = read(installation, tenant)
    assert [isinstance(result, StreamFailure) for result in results] == [False, True]
    assert installation.value("select count(*) from raw.carts") == 1


def test_a_replayed_cart_stays_as_it_landed(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    tell(installation.database, shop, ("carts/create", cart("2026-06-30T10:00:00Z", LINE)))
    reports(installation, tenant)
    before = installation.row_versions()
    with installation.database.connect() as connection:
        inbox.replay(connection, [1])
    reports(installation, tenant)
    assert states(installation) == [("in raw", 0, None)]
    assert installation.row_versions() == before


def test_a_shop_that_changed_is_read_again(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    shop.control.update_shop(name="Renamed", timezone="Asia/Kolkata", domain="renamed.myshopify.com")
    number = int(tenant.shop_gid.rpartition("/")[2])
    tell(installation.database, shop, ("shop/update", {"id": number}))
    reports(installation, tenant)

    (known,) = installation.tenants()
    assert (known.name, known.iana_timezone, known.shop_domain) == ("Renamed", "Asia/Kolkata", "renamed.myshopify.com")
    assert installation.value("select name from raw.shops") == "Renamed"
    assert states(installation) == [("in raw", 0, None)]


def test_an_uninstalled_tenant_is_suspended_and_its_token_forgotten(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    tell(installation.database, shop, ("app/uninstalled", {"id": int(tenant.shop_gid.rpartition("/")[2])}))
    assert apply_uninstallations(installation.database) == [tenant.tenant_id]

    assert [known.status for known in installation.tenants()] == ["suspended"]
    assert installation.value("select count(*) from ops.tenant_credentials") == 0
    assert installation.query("select tenant_id, action from ops.audit_log") == [
        (tenant.tenant_id, "suspended, token forgotten")
    ]
    assert states(installation) == [("in the marts", 0, None)], "it asks for nothing more"
    assert installation.value("select count(*) > 0 from raw.orders"), "its data stays"
    assert apply_uninstallations(installation.database) == []


def test_a_store_may_uninstall_before_its_history_was_read_or_while_it_is_suspended(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    with installation.database.connect() as connection:
        registry.set_status(connection, tenant.tenant_id, "suspended")
    tell(installation.database, shop, ("app/uninstalled", {"id": int(tenant.shop_gid.rpartition("/")[2])}))
    apply_uninstallations(installation.database)
    assert installation.value("select count(*) from ops.tenant_credentials") == 0


def test_an_uninstallation_that_cannot_be_done_yet_is_tried_again_and_holds_up_no_other(
    installation: Installation, shop: Shop, other_shop: Shop, tenant: Tenant
) -> None:
    other = installation.connect(other_shop)
    for each, store in ((tenant, shop), (other, other_shop)):
        tell(installation.database, store, ("app/uninstalled", {"id": int(each.shop_gid.rpartition("/")[2])}))

    with installation.database.connect() as connection:
        connection.execute(f"""
            create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
            create trigger refuse before update of status on ops.tenants
            for each row when (new.tenant_id = '{tenant.tenant_id}') execute function refuse()
            """)
    assert apply_uninstallations(installation.database) == [other.tenant_id]
    assert [status for status, _, _ in states(installation)] == ["to be tried again", "in the marts"]
    assert installation.query("select tenant_id from ops.tenant_credentials") == [(tenant.tenant_id,)]


def _told_late(installation: Installation, _: Tenant) -> None:
    with installation.database.connect() as connection:
        connection.execute("update ops.webhook_inbox set triggered_at = %s", [datetime.now(UTC) - timedelta(hours=3)])


def _given_a_token(installation: Installation, tenant: Tenant) -> None:
    replace_token(installation.database, installation.ring, handle=tenant.tenant_id, token=DEFAULT_TOKEN)


def _connected_by_its_merchant(installation: Installation, tenant: Tenant) -> None:
    with installation.database.connect() as connection:
        registry.reconnect(connection, tenant.tenant_id, tenant.api_url)


@pytest.mark.parametrize("come_back", [_told_late, _given_a_token, _connected_by_its_merchant])
def test_news_of_an_uninstallation_from_before_the_last_connection_are_ignored(
    installation: Installation, shop: Shop, tenant: Tenant, come_back: Callable[[Installation, Tenant], None]
) -> None:
    tell(installation.database, shop, ("app/uninstalled", {"id": int(tenant.shop_gid.rpartition("/")[2])}))
    come_back(installation, tenant)
    assert apply_uninstallations(installation.database) == []
    assert [known.status for known in installation.tenants()] == ["active"]
    assert installation.value("select count(*) from ops.tenant_credentials") == 1
    assert installation.value("select action from ops.audit_log") == "uninstallation ignored"


def test_a_merge_moves_the_losers_checkouts_too(installation: Installation, shop: Shop, tenant: Tenant) -> None:
    (loser,), (winner,) = (shop.control.create_customer()["customers"] for _ in range(2))
    (checkout,) = shop.control.start_checkout(customer_id=loser)["checkouts"]
    installation.sync(tenant)
    tell_merge(installation.database, shop, kept=winner, deleted=loser)  # the store itself has not merged them yet
    reports(installation, tenant)
    assert [status for status, _, _ in states(installation)] == ["to be tried again"]

    shop.control.merge_customers(winner, loser)
    make_due(installation)
    reports(installation, tenant)
    owner = installation.value("select customer_id from raw.abandoned_checkouts where id = %s", checkout)
    assert (owner, states(installation)) == (winner, [("in raw", 1, None)])


def test_more_than_is_worth_reading_by_id_is_read_in_pages_and_marked_at_once(
    installation: Installation, shop: Shop, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_BY_ID", 3)
    monkeypatch.setattr(inbox, "EVENTS_A_TENANT", 5)
    told = [("orders/create", _as_told(shop.control.place_order()["orders"][0])) for _ in range(9)]
    lagging = ("orders/updated", {"id": told[0][1]["id"], "updated_at": FUTURE})
    tell(installation.database, shop, lagging, *told)
    report = reports(installation, tenant)[tenant.tenant_id, "orders"]

    assert report.mode == "pages"
    assert report.tables["orders"].inserted == 9
    assert [status for status, _, _ in states(installation)] == ["to be tried again"] + ["in raw"] * 9


def _as_told(order: int) -> dict[str, Any]:
    return {"id": order, "updated_at": "2020-01-01T00:00:00Z"}
