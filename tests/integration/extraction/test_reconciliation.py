"""Reconciliation: what changes missed is found by its absence, and mended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopify_sandbox.spec import DEFAULT_SCOPES
from tests.support.events import tell
from tests.support.installation import Installation, Shop
from tests.support.reconciliation import found, reconcile
from xeno_pipeline.extraction.reconciliation_results import due_tenants
from xeno_pipeline.extraction.report import StreamFailure, StreamReport
from xeno_pipeline.raw.completeness import TooManyDeletionsError
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

A_WEEK_AGO = timedelta(days=8)


@pytest.fixture
def tenant(installation: Installation, shop: Shop) -> Tenant:
    """A tenant whose history is in raw, and was compared in full a moment ago."""
    tenant = installation.connect(shop)
    installation.sync(tenant)
    reconcile(installation, tenant, full=True)
    return tenant


def live(installation: Installation, table: str) -> set[int]:
    return {id_ for (id_,) in installation.query(f"select id from raw.{table} where deleted_at is null")}


def weeks_ago(weeks: int) -> str:
    return (datetime.now(UTC) - timedelta(weeks=weeks)).isoformat()


def test_where_all_counts_agree_no_ids_are_read_and_no_row_is_written(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    before = installation.row_versions()
    shop.control.reset_stats()

    results = reconcile(installation, tenant)

    assert {getattr(result, "mode", result) for result in results.values()} == {"counts"}
    assert installation.row_versions() == before
    assert shop.control.stats()["bulk_operations"] == 0
    assert found(installation, tenant).windows_differing == 0
    last = found(installation, tenant)
    assert last.in_raw
    assert last.at_shopify == last.in_raw


def test_an_order_that_no_change_told_of_is_read_by_its_id(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    (order,) = shop.control.place_order(guest=True)["orders"]
    shop.control.backdate("Order", order, weeks_ago(20))
    installation.sync(tenant)
    assert order not in live(installation, "orders")

    reconcile(installation, tenant)

    assert order in live(installation, "orders")
    assert found(installation, tenant).read_again == 1
    assert found(installation, tenant).windows_differing == 1
    assert found(installation, tenant).at_shopify == found(installation, tenant).in_raw


def test_an_order_that_went_without_a_word_is_marked_as_gone_where_that_is_accepted(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    gone = min(live(installation, "orders"))
    shop.control.vanish("Order", gone)

    asked = reconcile(installation, tenant)["orders"]
    assert isinstance(asked, StreamFailure)
    assert isinstance(asked.error, TooManyDeletionsError)  # one of sixty is more than one per cent
    assert gone in live(installation, "orders")
    assert "--accept-deletions" in str(found(installation, tenant).error)

    reconcile(installation, tenant, accept_deletions=True)
    assert gone not in live(installation, "orders")
    assert found(installation, tenant).deleted == 1
    assert found(installation, tenant).error is None


def test_an_order_whose_deletion_a_webhook_has_told_is_marked_whether_the_webhook_was_taken_in_or_not(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    """One of sixty orders is more than one per cent, but nobody has to be asked about it."""
    order = installation.value("select min(id) from raw.orders")
    shop.control.delete_order(order)
    tell(installation.database, shop, ("orders/delete", {"id": order}))

    assert isinstance(reconcile(installation, tenant)["orders"], StreamReport)

    assert found(installation, tenant).deleted == 1
    assert installation.query("select id from raw.orders where deleted_at is not null") == [(order,)]


def test_a_customer_whose_order_is_gone_is_read_again_for_how_many_there_are(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    ((gone, customer, counted),) = installation.query(
        """
        select orders.id, customer_id, number_of_orders
        from raw.orders join raw.customers on customers.id = customer_id
        where not is_test order by 1 limit 1
        """
    )
    shop.control.vanish("Order", gone)  # which is no change of the customer

    reconcile(installation, tenant, accept_deletions=True)

    number = installation.value("select number_of_orders from raw.customers where id = %s", customer)
    assert number == counted - 1
    assert found(installation, tenant).customers_differing == 0
    assert found(installation, tenant).refreshed == 1


def test_one_too_many_and_one_too_few_hide_from_counts_but_not_from_the_weekly_full_read(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    gone, day = installation.query("select id, created_at from raw.orders order by id limit 1")[0]
    (order,) = shop.control.place_order(guest=True)["orders"]
    shop.control.backdate("Order", order, day.isoformat())
    shop.control.vanish("Order", gone)

    reconcile(installation, tenant, accept_deletions=True)
    assert order not in live(installation, "orders")

    installation.query("update ops.reconciliations set read_in_full_at = now() - %s returning 1", A_WEEK_AGO)
    reconcile(installation, tenant, accept_deletions=True)
    assert order in live(installation, "orders")
    assert gone not in live(installation, "orders")


def test_without_all_orders_nothing_older_than_the_token_sees_is_taken_for_gone(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    before = live(installation, "orders")
    shop.control.set_scopes(*(scope for scope in DEFAULT_SCOPES if scope != "read_all_orders"))
    installation.sync(tenant)
    (tenant,) = installation.tenants()

    reconcile(installation, tenant, full=True, accept_deletions=True)

    assert live(installation, "orders") == before
    assert found(installation, tenant).error is None


def test_abandoned_checkouts_are_never_gone_for_their_absence(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    before = live(installation, "abandoned_checkouts")
    shop.control.vanish("AbandonedCheckout", min(before))

    reconcile(installation, tenant, full=True, accept_deletions=True)

    assert live(installation, "abandoned_checkouts") == before


def test_a_full_read_refreshes_what_changes_of_customers_without_their_time_of_change(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    ((customer,),) = installation.query("select min(id) from raw.customers where rfm_group is distinct from 'DORMANT'")
    shop.control.set_rfm_group(customer, "DORMANT")
    installation.sync(tenant)
    installation.query("delete from ops.changes returning 1")

    reconcile(installation, tenant, full=True)

    assert installation.query(
        "select rfm_group, payload #>> '{statistics,rfmGroup}' from raw.customers where id = %s", customer
    ) == [("DORMANT", "DORMANT")]
    assert installation.query("select object_id from ops.changes where object = 'customers'") == [(customer,)]
    assert found(installation, tenant, "customers").refreshed == 1


def test_orders_that_a_customer_has_by_shopifys_account_are_searched_for(
    installation: Installation, tenant: Tenant, shop: Shop
) -> None:
    ((order, customer),) = installation.query(
        "select id, customer_id from raw.orders where customer_id is not null and not is_test order by id limit 1"
    )
    other = installation.value("select id from raw.customers where id <> %s limit 1", customer)
    installation.query("update raw.orders set customer_id = %s, payload = '{}' where id = %s returning 1", other, order)

    reconcile(installation, tenant)

    assert installation.value("select customer_id from raw.orders where id = %s", order) == customer
    assert found(installation, tenant).customers_differing == 0


def test_a_night_is_taken_once_in_each_shops_own_hours(installation: Installation, tenant: Tenant) -> None:
    def zone_where_it_is(hour: int) -> str:
        offset = (hour - datetime.now(UTC).hour + 12) % 24 - 12
        return f"Etc/GMT{-offset:+d}"  # the signs of these names are the other way round

    def due(hour: int) -> list[str]:
        with installation.database.connect() as connection:
            connection.execute("update ops.tenants set iana_timezone = %s", [zone_where_it_is(hour)])
            return due_tenants(connection)

    installation.query("update ops.reconciliations set night = night - 2 returning 1")
    assert due(2) == []
    assert due(3) == [tenant.tenant_id]
    assert due(12) == []
    installation.query("update ops.reconciliations set night = night + 3 returning 1")
    assert due(3) == []


# --- where bulk fails ---


@pytest.mark.parametrize("fault", ["bulk_fail", "bulk_expire", "bulk_malformed"])
def test_where_bulk_fails_the_ids_come_in_pages_and_nothing_is_marked_as_gone(
    installation: Installation, tenant: Tenant, shop: Shop, fault: Any
) -> None:
    (lacking,) = shop.control.place_order(guest=True)["orders"]
    shop.control.backdate("Order", lacking, weeks_ago(20))
    gone = min(live(installation, "orders"))
    shop.control.vanish("Order", gone)
    shop.control.fault(fault, connection="orders", count=1000)
    in_full = found(installation, tenant).read_in_full_at

    report = reconcile(installation, tenant, full=True, accept_deletions=True)["orders"]

    assert isinstance(report, StreamReport)
    (note,) = report.notes
    assert "orders failed (it " in note
    assert {lacking, gone} <= live(installation, "orders")
    assert found(installation, tenant).error is None
    assert found(installation, tenant).read_in_full_at == in_full

    shop.control.clear_faults()
    assert reconcile(installation, tenant, full=True, accept_deletions=True)["orders"].notes == []  # type: ignore[union-attr]
    assert gone not in live(installation, "orders")


def test_ids_that_were_denied_name_what_is_missing(installation: Installation, tenant: Tenant, shop: Shop) -> None:
    shop.control.fault("bulk_fail", connection="orders", code="ACCESS_DENIED", count=1000)

    failure = reconcile(installation, tenant, full=True)["orders"]

    assert isinstance(failure, StreamFailure)
    assert "to read orders the token needs read_orders, read_customers and read_products" in str(failure.error)
