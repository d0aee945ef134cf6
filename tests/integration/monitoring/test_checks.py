"""Each check finds what is wrong, names the tenant, and finds nothing where all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shopify_sandbox.process import SandboxProcess
from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.test_results import run_tests
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.monitoring import checks
from xeno_pipeline.monitoring.checks import ASSET_CHECKS, Check, Finding, evaluate, evaluation
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.credentials import KeyRing


@dataclass(frozen=True)
class Watched:
    """An installation of two tenants with marts, of which nothing is wrong."""

    installation: Installation
    project: DbtProject
    tenant: str
    other: str


@pytest.fixture(scope="module")
def watched(
    sandbox: SandboxProcess, make_database: Callable[[], Database], make_home: Callable[[], Path], ring: KeyRing
) -> Iterator[Watched]:
    installation = Installation(make_database(), ring, make_home() / "spool")
    tenants = [installation.connect(Shop(sandbox, handle)) for handle in ("shelf", "void")]
    for tenant in tenants:
        installation.sync(tenant)
    handles = [tenant.tenant_id for tenant in tenants]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XENO_DATABASE_URL", installation.database.url)
        project = DbtProject(load_settings())
        make_relations(installation.database, project)
        transform(installation.database, project, TransformRequest(handles))
        yield Watched(installation, project, *handles)


@contextmanager
def undone_afterwards(watched: Watched) -> Iterator[Connection]:
    """A transaction that leaves nothing behind."""
    with watched.installation.database.connect() as connection, connection.transaction(force_rollback=True):
        yield connection


def test_nothing_is_found_of_tenants_that_are_well(watched: Watched) -> None:
    with undone_afterwards(watched) as connection:
        found = {check.name: evaluate(connection, load_settings(), check) for check in ASSET_CHECKS}
    assert found == {check.name: [] for check in ASSET_CHECKS}


WRONG: Mapping[str, tuple[Check, str, str, str]] = {
    "raw lacks an order": (
        checks.COUNTS,
        """
        insert into ops.reconciliations (tenant_id, stream, night, started_at, at_shopify, in_raw)
        values (%(tenant)s, 'orders', current_date, now(), 61, 60)
        """,
        "raw.orders",
        "Shopify has 61 orders, raw has 60",
    ),
    "the reconciliation fails": (
        checks.COUNTS,
        """
        insert into ops.reconciliations (tenant_id, stream, night, started_at, error, failing_since)
        values (%(tenant)s, 'products', current_date, now(), 'the token was refused.', now())
        """,
        "raw.products",
        "the comparison with Shopify failed: the token was refused.",
    ),
    "a stream is not read any more": (
        checks.FRESHNESS,
        """
        update ops.sync_state set synced_at = '2026-01-01 12:00Z' where tenant_id = %(tenant)s and stream = 'customers'
        """,
        "raw.customers",
        "customers: last synced at 2026-01-01 12:00 UTC",
    ),
    "a requested sync does not begin": (
        checks.QUEUED_SYNCS,
        """
        insert into ops.syncs (tenant_id, requested_by, requested_at, due_at)
        values (%(tenant)s, 'key-3', now() - interval '20 minutes', now() - interval '16 minutes')
        """,
        "shopify.shop",
        "a requested sync has waited for a run for over fifteen minutes: number ",
    ),
    "webhooks wait": (
        checks.PROCESSING,
        """
        insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, received_at)
        values (%(tenant)s, '1', 'orders/create', 'orders', now() - interval '11 minutes')
        """,
        "raw.orders",
        "orders: 1 webhook(s) waiting over ten minutes",
    ),
    "webhooks were given up": (
        checks.DEAD_LETTERS,
        """
        insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, dead_at, error)
        values (%(tenant)s, '1', 'shop/update', 'shop', now(), 'The shop is away.')
        """,
        "raw.shops",
        "shop: 1 webhook(s) given up after all retries: The shop is away.",
    ),
    "an order does not fit": (
        checks.SET_ASIDE,
        """
        insert into ops.set_aside (tenant_id, object, object_id, gid, reason, first_seen_at, last_seen_at)
        select %(tenant)s, 'orders', id, 'gid://shopify/Order/' || id, 'name is no text', day, now()
        from generate_series(1, 3) as id cross join lateral (select now() - id * interval '1 day' as day) as first
        """,
        "raw.orders",
        "3 orders do not fit their table and are set aside, for example gid://shopify/Order/3: name is no text",
    ),
    "records name no object": (
        checks.SET_ASIDE,
        """
        insert into ops.set_aside (tenant_id, object, object_id, gid, reason, records, first_seen_at, last_seen_at)
        values (%(tenant)s, 'products', 0, '', 'id is missing', 2, now(), now())
        """,
        "raw.products",
        "2 products do not fit their table and are set aside, for example one without an id: id is missing",
    ),
    "a scope was withdrawn": (
        checks.SCOPES,
        """
        update ops.tenants set access_scopes = '{write_orders,read_products,read_customers,read_all_orders}'
        where tenant_id = %(tenant)s
        """,
        "shopify.shop",
        "the token lacks read_customer_merge",
    ),
    "there is no token": (
        checks.TOKENS,
        "delete from ops.tenant_credentials where tenant_id = %(tenant)s",
        "shopify.shop",
        "there is no token",
    ),
    "a refresh token was not used for long": (
        checks.TOKENS,
        """
        update ops.tenant_credentials
        set kind = 'expiring', expires_at = now(), sealed_refresh_token = sealed_token, updated_at = '2020-01-01Z'
        where tenant_id = %(tenant)s
        """,
        "shopify.shop",
        "the refresh token expires on 2020-03-31 unless the store is synced before",
    ),
    "the marts stay behind": (
        checks.MARTS,
        """
        with old as (update ops.sync_state set history_loaded_at = '2020-01-01Z' where tenant_id = %(tenant)s)
        update ops.tenant_marts set as_of_date = '2020-01-01' where tenant_id = %(tenant)s
        """,
        "marts.tenant_overview",
        "the marts are as of 2020-01-01",
    ),
    "a sale is missing": (
        checks.LEDGER,
        """
        delete from raw.order_sales where tenant_id = %(tenant)s and (tenant_id, agreement_id) in (
            select tenant_id, id from raw.order_agreements where tenant_id = %(tenant)s and order_id = (
                select max(order_id) from marts.fct_orders where tenant_id = %(tenant)s and total_sales > 0
            )
        )
        """,
        "raw.order_sales",
        "1 order(s) of the last 60 days differ from their ledger",
    ),
    "a sale's action is not known": (
        checks.SALES,
        """
        update marts.fct_sales set is_known = false, action_type = 'UNKNOWN', line_type = 'PRODUCT'
        where tenant_id = %(tenant)s and sale_id = (
            select min(sale_id) from marts.fct_sales where tenant_id = %(tenant)s
        )
        """,
        "marts.fct_sales",
        "1 sale(s) are not counted because their type or amounts are unknown (UNKNOWN PRODUCT), for example in order ",
    ),
    "an order has a date that cannot be": (
        checks.DATES,
        """
        update marts.fct_orders set is_redated = true where tenant_id = %(tenant)s and order_id = (
            select min(order_id) from marts.fct_orders where tenant_id = %(tenant)s
        )
        """,
        "marts.fct_orders",
        "1 order(s) have a date before 1990 or more than a year ahead, and are dated by their creation instead, ",
    ),
    "a token is granted all orders and not shown them": (
        checks.HISTORY,
        """
        with told as (update intermediate.int_tenant_figures set orders_at_shopify = 1000 where tenant_id = %(tenant)s)
        update raw.customers set number_of_orders = number_of_orders + 10 where tenant_id = %(tenant)s
        """,
        "raw.orders",
        "Shopify counts ",
    ),
    "customers keep another number of orders": (
        checks.HISTORY,
        """
        insert into ops.reconciliations (tenant_id, stream, night, started_at, at_shopify, in_raw, customers_differing)
        values (%(tenant)s, 'orders', current_date, now(), 60, 60, 63),
            (%(tenant)s, 'customers', current_date, now(), 80, 80, null)
        """,
        "raw.orders",
        "the last reconciliation left 63 customers whose number of orders differs from Shopify's",
    ),
    "orders stay away": (
        checks.VOLUME,
        """
        insert into intermediate.int_daily_sales
        select (jsonb_populate_record(a_day, jsonb_build_object(
            'date_day', series.day::date, 'orders', case when series.day < current_date - 3 then 100 else 0 end
        ))).*
        from intermediate.int_daily_sales a_day
        cross join generate_series(current_date - 70, current_date, interval '1 day') as series (day)
        where (tenant_id, date_day) = (
            select tenant_id, max(date_day) from intermediate.int_daily_sales
            where tenant_id = %(tenant)s group by tenant_id
        )
        on conflict (tenant_id, date_day) do update set orders = excluded.orders
        """,
        "marts.revenue_daily",
        "0 orders on ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_one_tenant_is_found_and_named(case: str, watched: Watched) -> None:
    check, harm, subject, told = WRONG[case]
    with undone_afterwards(watched) as connection:
        connection.execute(harm, {"tenant": watched.tenant})
        (finding,) = evaluate(connection, load_settings(), check)
        assert (finding.subject, finding.tenant_id) == (subject, watched.tenant)
        assert finding.message.startswith(told)

        connection.execute("update ops.tenants set status = 'suspended' where tenant_id = %s", [watched.tenant])
        assert evaluate(connection, load_settings(), check) == [], "nobody watches a tenant that is suspended"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"missing": ["carts/update"], "error": "carts/update was refused."}, "carts/update was refused."),
        ({"missing": ["carts/update", "orders/create"]}, "it is not subscribed to carts/update, orders/create"),
        (None, "its webhook subscriptions were never compared"),
    ],
)
def test_a_store_without_all_subscriptions_is_found_where_they_are_wanted(
    found: dict[str, object] | None, message: str, watched: Watched
) -> None:
    settings = load_settings().model_copy(update={"public_url": "https://xeno.example"})
    with undone_afterwards(watched) as connection:
        connection.execute("insert into ops.webhook_subscriptions select tenant_id, '' from ops.tenants")
        if found is None:
            connection.execute("delete from ops.webhook_subscriptions where tenant_id = %s", [watched.tenant])
            assert evaluate(connection, settings, checks.SUBSCRIPTIONS) == [], "it was connected within the hour"
            connection.execute("update ops.tenants set connected_at = now() - interval '2 hours'")
        else:
            connection.execute(
                "update ops.webhook_subscriptions set missing = %s, error = %s where tenant_id = %s",
                [found["missing"], found.get("error"), watched.tenant],
            )
        (finding,) = evaluate(connection, settings, checks.SUBSCRIPTIONS)
        assert (finding.tenant_id, finding.message, finding.is_error) == (watched.tenant, message, True)
        assert evaluate(connection, load_settings(), checks.SUBSCRIPTIONS) == []


def test_a_privacy_request_is_found_a_week_before_its_deadline_and_is_an_error_after_it(watched: Watched) -> None:
    with undone_afterwards(watched) as connection:
        connection.execute("update ops.tenants set status = 'suspended' where tenant_id = %s", [watched.tenant])
        ((number,),) = connection.execute(
            """
            insert into ops.privacy_requests (tenant_id, shop_domain, kind, webhook_id, error)
            values (%s, 'shelf.example', 'customers/redact', '1', 'the marts failed.') returning id
            """,
            [watched.tenant],
        )
        assert evaluate(connection, load_settings(), checks.PRIVACY) == []
        for days_left, is_error in ((6, False), (-1, True)):
            connection.execute(
                "update ops.privacy_requests set deadline_at = now() + make_interval(days => %s)", [days_left]
            )
            (finding,) = evaluate(connection, load_settings(), checks.PRIVACY)
            assert (finding.tenant_id, finding.is_error) == (watched.tenant, is_error)
            assert finding.message.startswith(f"privacy request {number} is open and due on ")
            assert finding.message.endswith(" UTC: the marts failed.")


@pytest.mark.thorough
def test_a_dbt_test_that_did_not_pass_is_found_at_its_models_until_it_passes(watched: Watched) -> None:
    def test_marts() -> list[Finding]:
        run_tests(watched.installation.database, watched.project)
        with watched.installation.database.connect() as connection:
            return evaluate(connection, load_settings(), checks.DBT_TESTS)

    miscount = "update intermediate.int_daily_sales set new_customers = new_customers + %s where tenant_id = %s"
    watched.installation.execute(miscount, 1, watched.tenant)
    findings = test_marts()
    assert {finding.subject for finding in findings} == {"revenue_trends", "fct_orders"}
    assert findings[0].message.startswith("the dbt test days_add_up_to_periods failed: ")
    assert {finding.tenant_id for finding in findings} == {watched.tenant}

    watched.installation.execute(miscount, -1, watched.tenant)
    assert test_marts() == []


def test_a_check_that_fails_is_asked_again_about_some_tenants_at_a_time(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = evaluation._select

    def fail_for_one(connection: Connection, check: Check, query: str, bound: Mapping[str, object]) -> list[Finding]:
        asked = bound.get("tenant_ids", [watched.tenant, watched.other])
        assert isinstance(asked, list)
        if watched.other in asked:
            raise ValueError("a value that Python cannot hold")
        return select(connection, check, query, bound)

    monkeypatch.setattr(evaluation, "_select", fail_for_one)
    for check in (*ASSET_CHECKS, checks.RETRIED_RUNS):
        with undone_afterwards(watched) as connection:
            (finding,) = evaluate(connection, load_settings(), check)
        assert (finding.tenant_id, finding.is_evaluated) == (watched.other, False)
        assert finding.message == f"the check {check.name} could not be evaluated: ValueError"
