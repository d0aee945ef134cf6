"""What Shopify's privacy webhooks ask for is done, and stays done."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from tests.support.events import tell, tell_merge
from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.traces import PERSON, TRACES, traces
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, PRIVACY_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.requests import StoreResult
from xeno_pipeline.settings import load_settings
from xeno_pipeline.shopify.privacy import privacy_delivery_of
from xeno_pipeline.shopify.webhooks import Delivery
from xeno_pipeline.tenants import registry

pytestmark = pytest.mark.thorough

Marts = Mapping[str, Counter[str]]


def ask(location: Location, shop: Shop, topic: str, **payload: Any) -> StoreResult:
    """A privacy webhook, as the gateway keeps it."""
    delivery = Delivery(topic, f"{shop.handle}.myshopify.com", str(uuid4()), None, None)
    body = {"shop_id": 954889, "shop_domain": delivery.shop_domain, **payload}
    with location.installation.database.connect() as connection:
        return requests.store(connection, privacy_delivery_of(delivery, json.dumps(body).encode()))


def person(customer: int) -> dict[str, Any]:
    """The customer, as privacy webhooks name one."""
    return {"id": customer, "email": PERSON["email"], "phone": PERSON["phone"]}


def run_privacy(location: Location) -> dg.ExecuteInProcessResult:
    job = location.definitions.resolve_job_def(PRIVACY_JOB)
    return job.execute_in_process(instance=location.instance, raise_on_error=False)


def run_events(location: Location) -> bool:
    job = location.definitions.resolve_job_def(EVENTS_JOB)
    return job.execute_in_process(instance=location.instance, raise_on_error=False).success


OF_CUSTOMERS = ["country_code", "language", "account_status", "email_subscription_status"]
"""What a redaction empties of customers, and leaves of orders where they have a column of the same name."""


def marts(location: Location) -> Marts:
    """Every row of every mart, without what a redaction empties and load times."""
    left_out = ["email", "phone", "first_name", "last_name", "tags", "discount_codes", "last_loaded_at"]
    names = location.installation.query("select table_name from information_schema.tables where table_schema = 'marts'")
    return {
        name: Counter(
            row
            for (row,) in location.installation.query(
                f"select (to_jsonb(mart) - %s::text[])::text from marts.{name} mart",
                left_out + (OF_CUSTOMERS if name == "dim_customers" else []),
            )
        )
        for (name,) in names
    }


@pytest.fixture
def tenant(location: Location, shop: Shop) -> Shop:
    """A store that is connected, and not read yet."""
    location.connect(shop)
    return shop


@pytest.fixture
def customer(location: Location, tenant: Shop) -> int:
    """A customer with recognizable values, with orders, their tags and a checkout; all of it is read."""
    (number,) = tenant.control.place_order(new_customer=True)["customers"]
    tenant.control.update_customer(number, country="DE", **PERSON)
    tenant.control.place_order(customer_id=number, tags=["gift for Zebulonia"])
    tenant.control.start_checkout(customer_id=number)
    assert location.run(SYNC_JOB, "extract_tenants").success
    assert {"raw.customers", "raw.orders", "intermediate.int_customers", "marts.fct_orders"} <= traces(location)
    return number


def test_a_redacted_person_is_nowhere_and_no_sum_changes_though_everything_is_read_again(
    location: Location, tenant: Shop, customer: int
) -> None:
    ask(location, tenant, "customers/data_request", customer=person(customer), data_request={"id": 1})
    assert run_privacy(location).success
    assert len(exported(tenant)) == 1
    before = marts(location)

    ask(location, tenant, "customers/redact", customer=person(customer), orders_to_redact=[])
    assert run_privacy(location).success
    assert traces(location) == set()
    assert marts(location) == before

    assert location.run(SYNC_JOB, "extract_tenants", full=True).success
    assert traces(location) == set()
    assert marts(location) == before


def test_neither_late_webhooks_nor_a_merge_bring_the_person_back(
    location: Location, tenant: Shop, customer: int
) -> None:
    ask(location, tenant, "customers/redact", customer=person(customer), orders_to_redact=[])
    assert run_privacy(location).success
    tenant.control.update_customer(customer, last_name="Quackenbush-Zebulonia")
    (order,) = tenant.control.place_order(customer_id=customer, tags=["Quackenbush"])["orders"]
    database = location.installation.database
    tell(database, tenant, ("customers/update", {"id": customer}), ("orders/create", {"id": order}))
    assert run_events(location)
    assert traces(location) == set()

    # The merge gives the tags to another customer, who is the same person then.
    ((winner, email),) = location.installation.query(
        "select id, email from raw.customers where id <> %s and email is not null limit 1", customer
    )
    tenant.control.merge_customers(winner, customer)
    tell_merge(database, tenant, kept=winner, deleted=customer)
    assert run_events(location)
    assert traces(location, (*TRACES, email)) == set()

    incremental = marts(location)
    assert location.run(TRANSFORM_JOB, "build_marts", rebuild=True).success
    assert marts(location) == incremental


def test_a_request_for_an_unknown_customer_is_done_at_once_and_suppresses_it(location: Location, tenant: Shop) -> None:
    (number,) = tenant.control.create_customer(**PERSON)["customers"]
    ask(location, tenant, "customers/redact", customer=person(number))
    assert run_privacy(location).success
    assert outcomes(location) == [("nothing held", True)]

    assert location.run(SYNC_JOB, "extract_tenants", streams=["customers"], transform=False).success
    assert location.installation.value("select count(*) from raw.customers where id = %s", number) == 1
    assert traces(location) == set()


def test_a_data_request_becomes_a_file_of_the_owners_which_is_deleted_after_a_month(
    location: Location, tenant: Shop, customer: int
) -> None:
    ask(location, tenant, "customers/data_request", customer=person(customer), data_request={"id": 1})
    assert run_privacy(location).success
    (path,) = exported(tenant)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    held = json.loads(path.read_text())["held"]
    assert [row["email"] for row in held["customers"]] == [PERSON["email"]]
    assert {row["customer_id"] for row in held["orders"]} == {customer}
    assert {row["order_id"] for row in held["order_line_items"]} == {row["id"] for row in held["orders"]}
    assert len(held["abandoned_checkouts"]) >= 1

    assert isinstance(tick(location, "privacy_requests"), dg.SkipReason)
    location.installation.execute("update ops.privacy_requests set received_at = now() - interval '31 days'")
    assert isinstance(tick(location, "privacy_requests"), dg.SensorResult)
    assert run_privacy(location).success
    assert exported(tenant) == []
    assert isinstance(tick(location, "privacy_requests"), dg.SkipReason)


def test_a_removed_shop_leaves_only_a_tombstone_and_the_audit(location: Location, tenant: Shop, customer: int) -> None:
    with location.installation.database.connect() as connection:
        registry.set_status(connection, tenant.handle, "suspended")
    ask(location, tenant, "customers/redact", customer=person(customer))
    ask(location, tenant, "customers/data_request", customer=person(customer), data_request={"id": 1})
    assert run_privacy(location).success
    assert traces(location) == set(), "a suspended tenant's customers are redacted too, in its marts as well"
    assert len(exported(tenant)) == 1
    name = location.installation.value("select name from ops.tenants")
    tenant.control.set_tokens()  # the store has uninstalled the app, and the webhook was lost

    ask(location, tenant, "shop/redact")
    assert run_privacy(location).success

    assert rows_left(location, tenant) == {"ops.tenants": 1, "ops.privacy_requests": 3, "ops.audit_log": 1}
    ((tombstone,),) = location.installation.query("select to_jsonb(t) from ops.tenants t")
    held = {column for column, value in tombstone.items() if value and value not in ("UTC", "removed")}
    assert held == {"tenant_id", "shop_gid", "created_at", "updated_at", "connected_at"}
    assert traces(location, (*TRACES, name.lower())) == set()
    assert location.instance.get_dynamic_partitions("tenants") == []
    assert exported(tenant) == []
    audit = location.installation.query(
        "select customer_id, order_ids, outcome, done_at is not null from ops.privacy_requests"
    )
    assert {(who, tuple(orders), done) for who, orders, _, done in audit} == {(None, (), True)}
    assert [outcome for *_, outcome, _ in audit][-1] == "removed"


def test_a_shop_that_is_connected_again_is_not_removed(location: Location, tenant: Shop) -> None:
    before = rows_left(location, tenant)
    ask(location, tenant, "shop/redact")
    assert run_privacy(location).success
    assert outcomes(location) == [("nothing removed: the store is connected again", True)]
    assert before.items() <= rows_left(location, tenant).items()
    assert location.installation.value("select status from ops.tenants") == "active"


def test_whether_a_shop_is_connected_is_asked_again_while_it_does_not_answer(location: Location, tenant: Shop) -> None:
    location.installation.execute("update ops.tenants set api_url = 'http://127.0.0.1:9/nobody'")
    ask(location, tenant, "shop/redact")
    ask(location, tenant, "customers/redact", customer=person(1))

    result = run_privacy(location)

    assert location.statuses()[0] == dg.DagsterRunStatus.FAILURE
    (failed,) = result.get_step_failure_events()
    assert failed.step_key == "settle_privacy_requests"
    assert tenant.handle in failed.step_failure_data.error_display_string
    assert outcomes(location) == [(None, False), ("nothing held", True)]
    ((attempts, error, waits),) = location.installation.query(
        "select attempts, error, due_at > now() + interval '30 s' from ops.privacy_requests where done_at is null"
    )
    assert (attempts, waits) == (1, True)
    assert tenant.handle in error


def test_what_is_due_starts_one_run_and_what_waits_for_its_next_attempt_none(location: Location, tenant: Shop) -> None:
    assert isinstance(tick(location, "privacy_requests"), dg.SkipReason)
    for number in (1, 2):
        ask(location, tenant, "customers/redact", customer=person(number))
    started = tick(location, "privacy_requests")
    assert isinstance(started, dg.SensorResult)
    assert len(started.run_requests or []) == 1
    with location.installation.database.connect() as connection:
        for request in requests.due(connection):
            requests.record_failure(connection, request.id, "It could not be done.")
    assert isinstance(tick(location, "privacy_requests"), dg.SkipReason)


def test_no_request_waits_for_a_run_whose_process_was_killed(location: Location, tenant: Shop) -> None:
    ask(location, tenant, "customers/redact", customer=person(7))
    alive = location.run_in_another_process(PRIVACY_JOB)
    assert isinstance(tick(location, "privacy_requests"), dg.SkipReason)
    alive.communicate()
    assert isinstance(tick(location, "privacy_requests"), dg.SensorResult)


def exported(shop: Shop) -> list[Path]:
    """The files about customers of a store."""
    return sorted((load_settings().exports_folder / shop.handle).glob("*"))


def outcomes(location: Location) -> list[tuple[str | None, bool]]:
    """What was done of each request, and whether that was all."""
    return location.installation.query("select outcome, done_at is not null from ops.privacy_requests order by id")


def rows_left(location: Location, shop: Shop) -> dict[str, int]:
    """How many rows of a tenant each table has that has any."""
    tables = location.installation.query(
        """
        select table_schema, table_name from information_schema.columns join information_schema.tables
        using (table_schema, table_name) where column_name = 'tenant_id' and table_type = 'BASE TABLE'
        """
    )
    counts = {
        f"{schema}.{table}": location.installation.value(
            f"select count(*) from {schema}.{table} where tenant_id = %s", shop.handle
        )
        for schema, table in tables
    }
    return {table: rows for table, rows in counts.items() if rows}


def tick(location: Location, name: str) -> Any:
    """One evaluation of a sensor."""
    resources = location.definitions.resources
    assert resources is not None
    with dg.build_sensor_context(instance=location.instance, resources=resources) as context:
        return location.definitions.resolve_sensor_def(name)(context)
