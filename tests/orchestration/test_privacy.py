"""What Shopify's privacy webhooks ask for is done, whatever is read afterwards; and nobody misses a deadline unheard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from dagster import ExecuteInProcessResult
from psycopg import sql

from tests.extraction.test_events import tell
from tests.installation import Shop
from tests.orchestration.conftest import Location
from xeno_pipeline.orchestration.privacy import PRIVACY_JOB
from xeno_pipeline.orchestration.tenant_jobs import EVENTS_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.requests import Kept
from xeno_pipeline.settings import load_settings
from xeno_pipeline.shopify.privacy import privacy_delivery_of
from xeno_pipeline.shopify.webhooks import Delivery

PERSON = {
    "first_name": "Zebulonia",
    "last_name": "Quackenbush",
    "email": "zebulonia.q@mail.example",
    "phone": "+4930555019284",
    "tags": ["Zebulonia prefers tea"],
}
TRACES = ("zebulonia", "quackenbush", "555019284")

Marts = Mapping[str, Counter[str]]


def ask(location: Location, shop: Shop, topic: str, **payload: Any) -> Kept:
    """A privacy webhook, as the gateway keeps it."""
    delivery = Delivery(topic, f"{shop.handle}.myshopify.com", str(uuid4()), None, None)
    body = {"shop_id": 954889, "shop_domain": delivery.shop_domain, **payload}
    with location.installation.database.connect() as connection:
        return requests.keep(connection, privacy_delivery_of(delivery, json.dumps(body).encode()))


def person(customer: int) -> dict[str, Any]:
    """The customer, as privacy webhooks name one."""
    return {"id": customer, "email": PERSON["email"], "phone": PERSON["phone"]}


def run_privacy(location: Location) -> ExecuteInProcessResult:
    job = location.definitions.resolve_job_def(PRIVACY_JOB)
    return job.execute_in_process(instance=location.instance, raise_on_error=False)


def run_events(location: Location) -> bool:
    job = location.definitions.resolve_job_def(EVENTS_JOB)
    return job.execute_in_process(instance=location.instance, raise_on_error=False).success


def traces(location: Location, words: tuple[str, ...] = TRACES) -> set[str]:
    """Where any of the words is found: every column of every table of every schema, and every file in the home."""
    tables = location.installation.query(
        """
        select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')
        """
    )
    found: set[str] = set()
    pattern = "|".join(word.replace("+", "\\+") for word in words)
    with location.installation.database.connect() as connection:
        for schema, table in tables:
            query = sql.SQL("select exists (select from {} t where t::text ~* %s)").format(
                sql.Identifier(schema, table)
            )
            if connection.execute(query, [pattern]).fetchone() == (True,):
                found.add(f"{schema}.{table}")
    assert len(tables) > 40
    files = (path for path in load_settings().home.rglob("*") if path.is_file())
    return found | {path.name for path in files if any(word.encode() in path.read_bytes().lower() for word in words)}


def marts(location: Location) -> Marts:
    """Every row of every mart, but for what tells of persons and when things were loaded."""
    left_out = ["email", "phone", "first_name", "last_name", "tags", "discount_codes", "last_loaded_at"]
    names = location.installation.query("select table_name from information_schema.tables where table_schema = 'marts'")
    return {
        name: Counter(
            row
            for (row,) in location.installation.query(
                f"select (to_jsonb(mart) - %s::text[])::text from marts.{name} mart",
                left_out + (["country_code"] if name == "dim_customers" else []),
            )
        )
        for (name,) in names
    }


@pytest.fixture
def tenant(location: Location, shop: Shop) -> Shop:
    """A store that is synced, with a customer who can be told from all others."""
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants").success
    return shop


@pytest.fixture
def customer(location: Location, tenant: Shop) -> int:
    """That customer: with orders, one of them tagged with the name, and a checkout."""
    ((number,),) = location.installation.query(
        "select customer_id from raw.orders where customer_id is not null group by 1 order by count(*) desc, 1 limit 1"
    )
    tenant.control.update_customer(number, country="DE", **PERSON)
    (order,) = tenant.control.place_order(customer_id=number)["orders"]
    tenant.control.update_order(order, tags=["gift for Zebulonia"])
    tenant.control.start_checkout(customer_id=number)
    assert location.run(SYNC_JOB, "extract_tenants").success
    assert {"raw.customers", "raw.orders", "core.customers", "marts.fct_orders"} <= traces(location)
    return int(number)


def test_a_redacted_person_is_nowhere_whatever_is_read_afterwards_and_no_sum_changes(
    location: Location, tenant: Shop, customer: int
) -> None:
    ask(location, tenant, "customers/data_request", customer=person(customer), data_request={"id": 1})
    assert run_privacy(location).success
    assert any(name.startswith("data-request") for name in traces(location))
    before = marts(location)

    ask(location, tenant, "customers/redact", customer=person(customer), orders_to_redact=[])
    assert run_privacy(location).success
    assert traces(location) == set()
    assert marts(location) == before

    # Everything is read again; the store still has the person.
    assert location.run(SYNC_JOB, "extract_tenants", full=True).success
    assert traces(location) == set()
    assert marts(location) == before

    # A late webhook of the customer, and a new order.
    tenant.control.update_customer(customer, last_name="Quackenbush-Zebulonia")
    (order,) = tenant.control.place_order(customer_id=customer, tags=["Quackenbush"])["orders"]
    database = location.installation.database
    tell(database, tenant, ("customers/update", {"id": customer}), ("orders/create", {"id": order}))
    assert run_events(location)
    assert traces(location) == set()

    # A merge gives the tags to another customer, who is the same person then.
    ((winner, email),) = location.installation.query(
        "select id, email from raw.customers where id <> %s and email is not null and deleted_at is null limit 1",
        customer,
    )
    tenant.control.merge_customers(winner, customer)
    gids = {"kept": f"gid://shopify/Customer/{winner}", "deleted": f"gid://shopify/Customer/{customer}"}
    merge = {f"admin_graphql_api_customer_{end}_id": gid for end, gid in gids.items()}
    tell(database, tenant, ("customers/merge", {"status": "completed", **merge}))
    assert run_events(location)
    assert traces(location, (*TRACES, email)) == set()
    assert location.run(SYNC_JOB, "extract_tenants", full=True, accept_deletions=True).success
    assert traces(location, (*TRACES, email)) == set()

    incremental = marts(location)
    assert location.run(TRANSFORM_JOB, "build_marts", rebuild=True).success
    assert marts(location) == incremental
