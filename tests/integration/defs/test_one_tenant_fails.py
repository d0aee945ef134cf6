"""Each step that a run does for a tenant is made to fail for one of three: the others land, and that one is named.

It is named with the reason in the run, by a check and by an alert. What makes a step fail is real: a store that refuses
its token, rows that the database or Python cannot take, and a trigger that refuses any row of that tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.support.installation import Shop
from tests.support.listeners import WebhookServer
from tests.support.location import Location, locate
from tests.support.loopback import serving
from xeno_pipeline.database.connection import Database
from xeno_pipeline.defs.failures import FAILED_TENANTS
from xeno_pipeline.defs.jobs.names import (
    EVENTS_JOB,
    PRIVACY_JOB,
    RECONCILE_JOB,
    SUBSCRIPTIONS_JOB,
    SYNC_JOB,
    TRANSFORM_JOB,
)
from xeno_pipeline.defs.sensors.alerts import read_run
from xeno_pipeline.extraction import reconciliation_results
from xeno_pipeline.marts.scope import tenants_of_a_new_day
from xeno_pipeline.monitoring import alerts
from xeno_pipeline.monitoring.checks import ALERT_CHECKS, RETRIED_RUNS, RUNS, evaluate
from xeno_pipeline.settings import load_settings

pytestmark = pytest.mark.thorough

HEALTHY, FAILING = ("able", "charlie"), "baker"
TENANTS = (HEALTHY[0], FAILING, HEALTHY[1])
RAW_ORDERS = dg.AssetKey(["raw", "orders"])
REVENUE = dg.AssetKey(["marts", "revenue_daily"])


Fault = Callable[["Three"], AbstractContextManager[None]]


@dataclass(frozen=True)
class Three:
    """Three tenants of one location, whose histories and marts are in."""

    location: Location
    shops: Mapping[str, Shop]
    listener: WebhookServer

    def execute(self, statement: str, *values: object) -> None:
        self.location.installation.execute(statement, *values)

    @contextmanager
    def refusing(self, table: str, when: str, column: str = "tenant_id") -> Iterator[None]:
        """A trigger by which the database refuses rows of the failing tenant.

        Args:
            table: of which table.
            when: before which statements, as `insert or update`.
            column: which says whose a row is.
        """
        row = "old" if when == "delete" else "new"
        self.execute(
            f"""
            create function public.refuse() returns trigger language plpgsql as $$
            begin
                if {row}.{column} = '{FAILING}' then raise exception 'rows of {table} are refused'; end if;
                return {row};
            end $$;
            create trigger refuse before {when} on {table} for each row execute function public.refuse()
            """
        )
        try:
            yield
        finally:
            self.execute("drop function public.refuse() cascade")

    def orders_in_raw(self) -> dict[str, int]:
        return dict(self.location.installation.query("select tenant_id, count(*) from raw.orders group by 1"))


@contextmanager
def alerting(environment: pytest.MonkeyPatch, listener: WebhookServer) -> Iterator[None]:
    environment.setenv("XENO_PUBLIC_URL", "http://127.0.0.1:9")
    environment.setenv("XENO_ALERT_WEBHOOK_URL", listener.url)
    yield


@pytest.fixture(scope="module")
def three(
    make_database: Callable[[], Database], make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Three]:
    specs = [StoreSpec(name, orders=15, currency="EUR", seed=number) for number, name in enumerate(TENANTS)]
    with (
        pytest.MonkeyPatch.context() as environment,
        serving(WebhookServer()) as listener,
        alerting(environment, listener),
        SandboxProcess(specs, tmp_path_factory.mktemp("three")) as sandbox,
        locate(make_database(), make_home(), environment) as location,
    ):
        shops = {name: Shop(sandbox, name) for name in TENANTS}
        location.connect(*shops.values())
        assert location.run(SYNC_JOB, "extract_tenants").success
        yield Three(location, shops, listener)


# -- how each step is made to fail


@contextmanager
def token_refused(three: Three) -> Iterator[None]:
    control = three.shops[FAILING].control
    control.set_tokens("another")
    yield
    control.set_tokens(DEFAULT_TOKEN)


def refused(table: str, when: str = "insert or update", column: str = "tenant_id") -> Fault:
    return lambda three: three.refusing(table, when, column)


@contextmanager
def undrawable(three: Three) -> Iterator[None]:
    """A mart in which a value of the failing tenant makes its query fail."""
    definition = three.location.installation.value("select pg_get_viewdef('marts.rfm_segments'::regclass)")
    columns = three.location.installation.query(
        """
        select attname from pg_attribute
        where attrelid = 'marts.rfm_segments'::regclass and attnum > 0 order by attnum
        """
    )
    shown = ", ".join(
        f"customers / (tenant_id <> '{FAILING}')::int::bigint as customers" if name == "customers" else name
        for (name,) in columns
    )
    three.execute(f"create or replace view marts.rfm_segments as select {shown} from ({definition.rstrip(';')}) kept")
    yield
    three.execute(f"create or replace view marts.rfm_segments as {definition}")


@dataclass(frozen=True)
class Step:
    """One step of a job, made to fail.

    Args:
        fails: makes it fail for the failing tenant.
        reason: what is reported of it.
        job: whose step it is.
        op: the job's, which takes the configuration.
        config: of the run.
    """

    fails: Fault
    reason: str
    job: str = SYNC_JOB
    op: str | None = "extract_tenants"
    config: Mapping[str, object] = field(default_factory=dict)

    def run(self, three: Three) -> dg.ExecuteInProcessResult:
        if self.op is not None:
            return three.location.run(self.job, self.op, tenants=list(TENANTS), **self.config)
        job = three.location.definitions.resolve_job_def(self.job)
        return job.execute_in_process(instance=three.location.instance, raise_on_error=False)


def reading(fails: Fault, reason: str) -> Step:
    return Step(fails, reason, config={"transform": False})


def transforming(fails: Fault, reason: str) -> Step:
    return Step(fails, reason, TRANSFORM_JOB, "build_marts", {"only_due": False})


def reconciling(fails: Fault, reason: str) -> Step:
    return Step(fails, reason, RECONCILE_JOB, "reconcile_tenants")


def waiting(job: str, fails: Fault, reason: str) -> Step:
    return Step(fails, reason, job, None)


READING: Mapping[str, Step] = {
    "align partitions": reading(
        refused("dagster.dynamic_partitions", "insert", "partition"), "adding its partition failed"
    ),
    "read": reading(token_refused, "token"),
    "load": reading(refused("raw.orders"), "rows of raw.orders are refused"),
    "keep the state": reading(refused("ops.sync_state"), "rows of ops.sync_state are refused"),
    "begin the sync": reading(refused("ops.syncs"), "marking its sync as started failed"),
    "record": reading(refused("dagster.event_logs", "insert", "partition"), "recording raw/orders failed"),
}
COMPARING: Mapping[str, Step] = {
    "compare": reconciling(token_refused, "token"),
    "keep what was found": reconciling(refused("ops.reconciliations"), "rows of ops.reconciliations are refused"),
}
MAKING: Mapping[str, Step] = {
    "claim": transforming(refused("ops.transforms"), "rows of ops.transforms are refused"),
    "note what is stale": transforming(refused("stale.tenants"), "its transform could not begin"),
    "make a model": transforming(refused("intermediate.int_daily_sales"), "daily_sales could not be built"),
    "note that marts are made": transforming(refused("ops.tenant_marts"), "rows of ops.tenant_marts are refused"),
    "read a picture": transforming(undrawable, "the preview of rfm_segments failed"),
    "record a mart": transforming(
        refused("dagster.event_logs", "insert", "partition"), "recording marts/revenue_daily failed"
    ),
}


EVENT = """
    insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, read_gid, changed_at)
    select tenant_id, gen_random_uuid(), 'orders/updated', 'orders', 'gid://shopify/Order/' || min(id), min(updated_at)
    from raw.orders group by 1
    """
READ = "update ops.webhook_inbox set done_at = now()"
OLD = "update ops.webhook_inbox set done_at = now(), in_marts_at = now(), received_at = now() - interval '1 year'"
UNINSTALLED = f"""
    insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, triggered_at)
    values ('{FAILING}', gen_random_uuid(), 'app/uninstalled', 'app', now())
    """
WAITING: Mapping[str, tuple[Step, Sequence[str]]] = {
    "ask what an event names": (waiting(EVENTS_JOB, token_refused, "token"), [EVENT]),
    "note that an event is read": (
        waiting(EVENTS_JOB, refused("ops.webhook_inbox", "update"), "rows of ops.webhook_inbox are refused"),
        [EVENT],
    ),
    "settle an event": (
        waiting(
            EVENTS_JOB, refused("ops.webhook_inbox", "update"), "marking its webhooks as visible in the marts failed"
        ),
        [EVENT, READ],
    ),
    "purge events": (
        waiting(EVENTS_JOB, refused("ops.webhook_inbox", "delete"), "deleting its old webhooks failed"),
        [EVENT, OLD, EVENT],
    ),
    "suspend whoever uninstalled": (
        waiting(EVENTS_JOB, refused("ops.audit_log"), "its uninstallation failed"),
        [EVENT, UNINSTALLED],
    ),
    "retention": (
        waiting("retention", refused("ops.webhook_inbox", "delete"), "deleting its old webhooks failed"),
        [EVENT, OLD],
    ),
}


@pytest.mark.parametrize("step", WAITING)
def test_what_fails_for_one_tenant_while_its_webhooks_are_read(three: Three, step: str) -> None:
    case, come = WAITING[step]
    for statement in come:
        three.execute(statement)
    fail(three, case)
    left = "select tenant_id from ops.webhook_inbox where in_marts_at is null or received_at < now() - interval '1 day'"
    assert {tenant for (tenant,) in three.location.installation.query(left)} <= {FAILING}
    three.execute("delete from ops.webhook_inbox")


def test_what_fails_for_one_tenant_while_privacy_requests_are_done(three: Three) -> None:
    three.execute(
        """
        insert into ops.privacy_requests (tenant_id, shop_domain, kind, webhook_id, customer_id)
        select tenant_id, tenant_id, 'customers/redact', gen_random_uuid(), min(id) from raw.customers group by 1
        """
    )
    refusal = "rows of ops.privacy_requests are refused"
    fail(three, waiting(PRIVACY_JOB, refused("ops.privacy_requests", "update"), refusal))
    done = "select tenant_id from ops.privacy_requests where done_at is not null order by 1"
    assert three.location.installation.query(done) == [(name,) for name in HEALTHY]


def test_what_fails_for_one_tenant_while_stores_are_subscribed(three: Three) -> None:
    step = Step(
        refused("ops.webhook_subscriptions"),
        "ops.webhook_subscriptions are refused",
        SUBSCRIPTIONS_JOB,
        "ensure_subscriptions",
    )
    fail(three, step)
    compared = "select tenant_id from ops.webhook_subscriptions where error is null order by 1"
    assert three.location.installation.query(compared) == [(name,) for name in HEALTHY]


def test_a_check_or_an_alert_that_fails_for_one_tenant_still_reports_the_others(three: Three) -> None:
    """One tenant's time zone is in no database any more: whatever counts its days fails, and names it."""
    database = three.location.installation.database
    three.execute("update ops.sync_state set synced_at = '2020-01-01' where stream = 'products'")
    three.execute("update ops.tenants set iana_timezone = 'Mars/Olympus_Mons' where tenant_id = %s", FAILING)
    try:
        with database.connect() as connection:
            found = {check.name: evaluate(connection, load_settings(), check) for check in ALERT_CHECKS}
            assert {each.tenant_id for each in found["is_fresh"]} == set(TENANTS)
            unknown = [each for of_check in found.values() for each in of_check if not each.is_evaluated]
            assert {each.tenant_id for each in unknown} == {FAILING}
            assert "could not be evaluated" in unknown[0].message
            reconciliation_results.due_tenants(connection)
            tenants_of_a_new_day(connection)
        reason = "which the database does not know; set another in the store's admin"
        fail(three, Step(nothing, reason, TRANSFORM_JOB, "build_marts", {"rebuild": True}))
        fail(
            three,
            Step(
                nothing,
                "time zone is 'Mars/Olympus_Mons', which Python does not know",
                RECONCILE_JOB,
                "reconcile_tenants",
            ),
        )

        with refused("ops.alerts")(three):
            resources = three.location.definitions.resources
            with dg.build_sensor_context(three.location.instance, resources=resources) as context:
                three.location.definitions.resolve_sensor_def("alerts")(context)
        (text,) = three.listener.texts
        for name in HEALTHY:
            assert f"{name}: products: last synced at 2020-01-01" in text
        assert f"{FAILING}: products: last synced at 2020-01-01" in text
        assert "the alert could not be recorded" in text
    finally:
        three.execute("update ops.tenants set iana_timezone = 'UTC' where tenant_id = %s", FAILING)
        three.execute("delete from ops.alerts")


@contextmanager
def nothing(_: Three) -> Iterator[None]:
    """It fails by itself."""
    yield


@pytest.mark.parametrize("step", READING)
def test_what_fails_for_one_tenant_while_it_is_read(three: Three, step: str) -> None:
    case, before = READING[step], three.orders_in_raw()
    for shop in three.shops.values():
        shop.control.place_order()
    three.execute(
        """
        insert into ops.syncs (tenant_id, requested_by) select tenant_id, 'test' from ops.tenants on conflict do nothing
        """
    )
    if step == "align partitions":
        three.location.instance.delete_dynamic_partition("tenants", FAILING)

    result = fail(three, case)

    after = three.orders_in_raw()
    assert {name: after[name] - before[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, 1)
    assert recorded(three, result, RAW_ORDERS) >= set(HEALTHY)
    unfinished = "select tenant_id from ops.syncs where state in ('queued', 'running')"
    assert {tenant for (tenant,) in three.location.installation.query(unfinished)} <= {FAILING}


@pytest.mark.parametrize("step", COMPARING)
def test_what_fails_for_one_tenant_while_it_is_compared(three: Three, step: str) -> None:
    three.execute("delete from ops.reconciliations")
    fail(three, COMPARING[step])
    done = "select distinct tenant_id from ops.reconciliations where error is null order by 1"
    assert three.location.installation.query(done) == [(name,) for name in HEALTHY]


SLOW = ("claim", "make a model", "note what is stale", "note that marts are made", "record a mart")


@pytest.mark.parametrize("step", [pytest.param(s, marks=[pytest.mark.slow] * (s in SLOW)) for s in MAKING])
def test_what_fails_for_one_tenant_while_its_marts_are_made(three: Three, step: str) -> None:
    three.execute("update intermediate.int_daily_sales set orders = orders + 1")
    three.execute("insert into ops.changes select tenant_id, 'orders', 0 from ops.tenants on conflict do nothing")
    three.execute("update ops.tenant_marts set project_version = 'another'")

    result = fail(three, MAKING[step])

    made = "select tenant_id from ops.tenant_marts where project_version <> 'another' order by 1"
    assert {tenant for (tenant,) in three.location.installation.query(made)} >= set(HEALTHY)
    assert recorded(three, result, REVENUE) >= set(HEALTHY)
    waiting = {tenant for (tenant,) in three.location.installation.query("select distinct tenant_id from ops.changes")}
    assert waiting <= {FAILING}


def test_afterwards_nothing_was_forgotten_and_nothing_is_wrong(three: Three) -> None:
    assert three.location.run(SYNC_JOB, "extract_tenants", tenants=list(TENANTS)).success
    in_marts = dict(three.location.installation.query("select tenant_id, count(*) from marts.fct_orders group by 1"))
    assert in_marts == three.orders_in_raw()
    assert three.location.run(RECONCILE_JOB, "reconcile_tenants", tenants=list(TENANTS)).success
    assert three.location.run(TRANSFORM_JOB, "build_marts", tenants=list(TENANTS)).success
    assert three.location.installation.query("select job, reason from ops.run_failures") == []


def fail(three: Three, case: Step) -> dg.ExecuteInProcessResult:
    """Run a job whose step fails: the run, the check and the alert name the failing tenant, and no other."""
    with case.fails(three):
        result = case.run(three)
    (failed,) = result.get_step_failure_events()
    data = failed.step_failure_data.user_failure_data
    assert data is not None, failed.step_failure_data.error_display_string
    named = data.metadata[FAILED_TENANTS].value
    assert isinstance(named, dict)
    assert set(named) == {FAILING}
    assert case.reason in named[FAILING]

    instance = three.location.instance
    with three.location.installation.database.connect() as connection, connection.transaction(force_rollback=True):
        (finding,) = evaluate(connection, load_settings(), RUNS)
        assert finding.tenant_id == FAILING
        assert case.reason in finding.message
        read_run(connection, instance, instance.get_run_records(limit=1)[0])
        if case.job in (EVENTS_JOB, PRIVACY_JOB):  # which are tried again before anybody is alerted
            connection.execute("update ops.run_failures set failing_since = failing_since - interval '11 minutes'")
            alerts.record_findings(connection, evaluate(connection, load_settings(), RETRIED_RUNS), datetime.now(UTC))
        ((tenant, message),) = connection.execute("select tenant_id, message from ops.alerts").fetchall()
        assert tenant == FAILING
        assert case.reason in message
    three.execute("delete from ops.run_failures")
    return result


def recorded(three: Three, result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> set[str | None]:
    """The partitions of an asset that a run has recorded."""
    of_type = dg.DagsterEventType.ASSET_MATERIALIZATION
    records = three.location.instance.get_records_for_run(result.run_id, of_type=of_type).records
    return {record.partition_key for record in records if record.asset_key == key}
