"""What a redacted customer leaves in raw: rows that count, and nothing that tells of the person."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.events import reports, tell_merge
from tests.support.installation import Installation, Shop, changed
from xeno_pipeline.raw.redaction import PII_TABLES, redact_customer
from xeno_pipeline.raw.suppression import load_suppressed
from xeno_pipeline.raw.tables import CUSTOMERS, RawTable
from xeno_pipeline.tenants.registry import Tenant

_SECONDS_TO_WAIT = 30.0
"""For a load to reach its lock, on a machine that is busy with other tests."""

_OF_NOBODY = {"__typename", "id", "name", "createdAt", "updatedAt"}
_NOT_PERSONAL = {
    "customers": _OF_NOBODY - {"name"} | {"numberOfOrders", "statistics"},
    "orders": _OF_NOBODY
    | {"processedAt", "cancelledAt", "cancelReason", "closedAt", "test", "confirmed", "edited", "taxesIncluded"}
    | {"currencyCode", "presentmentCurrencyCode", "displayFinancialStatus", "displayFulfillmentStatus", "sourceName"}
    | {"checkoutToken", "cartToken", "customer", "shippingAddress", "billingAddress"}
    | {"totalPriceSet", "currentTotalPriceSet", "subtotalPriceSet", "totalDiscountsSet", "totalShippingPriceSet"}
    | {"totalTaxSet", "totalRefundedSet"},
    "abandoned_checkouts": _OF_NOBODY
    | {"completedAt", "taxesIncluded", "customer"}
    | {"totalPriceSet", "subtotalPriceSet", "totalDiscountSet", "totalTaxSet"},
}
"""Of the fields of each payload. Of an order's addresses only the country is selected."""


@pytest.fixture
def customer(installation: Installation, tenant: Tenant) -> int:
    """A customer with an email, orders and a checkout, who is not redacted yet."""
    query = """
        select c.id from raw.customers c
        join raw.orders o on o.customer_id = c.id join raw.abandoned_checkouts a on a.customer_id = c.id
        where c.email is not null limit 1
        """
    return int(installation.value(query))


def redact(installation: Installation, tenant: Tenant, customer: int) -> int:
    with installation.database.connect() as connection:
        return redact_customer(connection, tenant.tenant_id, customer)


def personal(installation: Installation, table: RawTable, customer: int) -> set[Any]:
    """The values of what is personal in a customer's rows of a table."""
    columns = ", ".join(table.pii.columns)
    rows = installation.query(f"select {columns} from raw.{table.name} where {table.pii.owner} = %s", customer)
    fields = installation.query(
        f"""
        select payload ->> field from raw.{table.name}, unnest(%s::text[]) field
        where {table.pii.owner} = %s and payload -> field <> 'null'
        """,
        list(table.pii.fields),
        customer,
    )
    return {str(value) for row in rows + fields for value in row if value is not None}


def test_all_rows_stay_and_only_what_is_personal_is_emptied(
    installation: Installation, tenant: Tenant, customer: int
) -> None:
    before = installation.raw()
    assert all(personal(installation, table, customer) for table in PII_TABLES)

    rows = redact(installation, tenant, customer)

    after = installation.raw()
    touched = changed(before, after)
    assert touched.keys() == {table.name for table in PII_TABLES}
    assert rows == sum(len(ids) for ids in touched.values())
    for table in PII_TABLES:
        assert personal(installation, table, customer) == set()
        for id_ in touched[table.name]:
            old, new = (rows[table.name][tenant.tenant_id, id_] for rows in (before, after))
            assert {name for name in old if old[name] != new[name]} <= {*table.pii.columns, "payload"}
            differing = {name for name in old["payload"] if old["payload"][name] != new["payload"][name]}
            assert differing <= set(table.pii.fields)


def test_what_is_read_again_is_what_redaction_left(installation: Installation, tenant: Tenant, customer: int) -> None:
    redact(installation, tenant, customer)
    before = installation.row_versions()
    installation.sync(tenant, full=True)
    installation.sync(tenant)
    assert changed(before, installation.row_versions()).keys() <= {"shops"}


def test_orders_that_are_named_are_emptied_and_stay_so_whoever_they_are_of(
    installation: Installation, shop: Shop, tenant: Tenant
) -> None:
    (order,) = shop.control.place_order(guest=True, tags=["for Quackenbush"])["orders"]
    installation.sync(tenant, "orders")
    with installation.database.connect() as connection:
        assert redact_customer(connection, tenant.tenant_id, 987654321, [order]) == 1
    shop.control.update_order(order, tags=["for Quackenbush", "again"])
    installation.sync(tenant, "orders")
    assert installation.query("select tags, payload ->> 'tags' from raw.orders where id = %s", order) == [(None, None)]


def test_redacting_twice_does_nothing_the_second_time(
    installation: Installation, tenant: Tenant, customer: int
) -> None:
    assert redact(installation, tenant, customer) > 0
    assert redact(installation, tenant, customer) == 0


def test_a_load_that_is_under_way_when_somebody_is_redacted_does_not_bring_them_back(
    installation: Installation, shop: Shop, tenant: Tenant, customer: int
) -> None:
    shop.control.update_customer(customer, first_name="Zebulonia")
    with ThreadPoolExecutor(1) as pool:
        with installation.database.connect() as connection:
            redact_customer(connection, tenant.tenant_id, customer)
            loading = pool.submit(installation.sync, tenant, "customers")
            wait_for_a_lock(installation)
        loading.result()
    assert personal(installation, CUSTOMERS, customer) == set()


def test_whoever_a_redacted_customer_is_merged_into_is_redacted_too(
    installation: Installation, shop: Shop, tenant: Tenant, customer: int
) -> None:
    winner = installation.value("select max(id) from raw.customers where id <> %s", customer)
    redact(installation, tenant, customer)
    shop.control.merge_customers(winner, customer)
    tell_merge(installation.database, shop, kept=winner, deleted=customer)
    reports(installation, tenant)
    assert personal(installation, CUSTOMERS, winner) == set()
    with installation.database.connect() as connection:
        assert load_suppressed(connection, tenant.tenant_id).holds(CUSTOMERS, str(winner))


def test_whoever_is_gone_keeps_no_profile_for_a_later_redaction_to_miss(
    installation: Installation, shop: Shop, tenant: Tenant, customer: int
) -> None:
    winner = installation.value("select max(id) from raw.customers where id <> %s", customer)
    shop.control.merge_customers(winner, customer)
    tell_merge(installation.database, shop, kept=winner, deleted=customer)
    reports(installation, tenant)
    assert installation.value("select deleted_at is not null from raw.customers where id = %s", customer)
    assert personal(installation, CUSTOMERS, customer) == set()
    assert personal(installation, CUSTOMERS, winner) != set()


def test_whatever_is_read_of_a_person_is_declared_personal_or_known_not_to_be(
    installation: Installation, tenant: Tenant
) -> None:
    """A field that a query gains fails here until somebody has decided."""
    for table in PII_TABLES:
        keys = installation.query(f"select distinct jsonb_object_keys(payload) from raw.{table.name}")
        assert {key for (key,) in keys} <= {*table.pii.fields, *_NOT_PERSONAL[table.name]}
        assert set(table.pii.columns) <= set(table.columns)


def wait_for_a_lock(installation: Installation) -> None:
    """Wait until some session of the database waits for a lock."""
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    query = """
        select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'
        """
    while not installation.value(query):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)
