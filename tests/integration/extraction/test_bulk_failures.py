"""A bulk result that is not whole is told of, leaves nothing half-written, and stands in no later sync's way."""

from __future__ import annotations

import re
import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.installation import Installation, Shop, changed
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, no_progress
from xeno_pipeline.extraction.state import remember_bulk_operation
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import AccessDeniedError, BulkFailedError, BulkResultError, ShopifyError
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.tenants.onboarding import open_client
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

FAILURES = [
    ("bulk_fail", {"code": "INTERNAL_SERVER_ERROR"}, BulkFailedError, r"ended as FAILED \(INTERNAL_SERVER_ERROR\)"),
    ("bulk_expire", {}, BulkFailedError, "ended as EXPIRED"),
    ("bulk_malformed", {}, BulkResultError, r"is malformed in line [0-9,]+"),
]


STATE = """
    select stream, cursor_at, query_version, history_loaded_at, history_since, synced_at, bulk_operation_id
    from ops.sync_state order by stream
    """


def failures(installation: Installation) -> int:
    count: int = installation.value("select bulk_failures from ops.sync_state where stream = 'orders'")
    return count


def check_that_nothing_was_written_and_the_next_sync_succeeds(
    installation: Installation, tenant: Tenant, error: Exception, says: str
) -> None:
    sentence = rf"{tenant.tenant_id}: .*BulkOperation/\d+ {says}; nothing was loaded\. Run the sync again\."
    assert re.fullmatch(sentence, str(error))
    assert {table for table, rows in installation.raw().items() if rows} <= {"shops"}

    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 60


@pytest.mark.parametrize(("fault", "options", "error", "says"), FAILURES, ids=[fault for fault, *_ in FAILURES])
def test_a_first_load_that_fails_writes_nothing_and_the_next_sync_succeeds(
    installation: Installation, shop: Shop, fault: Any, options: dict[str, Any], error: type[ShopifyError], says: str
) -> None:
    tenant = installation.connect(shop)
    shop.control.fault(fault, connection="orders", **options)

    failure = installation.error_of(tenant, "orders")

    assert isinstance(failure, error)
    check_that_nothing_was_written_and_the_next_sync_succeeds(installation, tenant, failure, says)


def test_a_result_that_keeps_ending_early_is_never_taken_for_whole(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    shop.control.fault("bulk_truncate", connection="orders", bytes=5000)
    impatient = ShopifyClient(
        tenant=shop.handle,
        api_url=shop.api_url,
        token=DEFAULT_TOKEN,
        sleep=lambda seconds: time.sleep(min(seconds, 0.05)),  # eight downloads, without the pauses between them
    )
    orders = next(stream for stream in STREAMS if stream.name == "orders")

    with pytest.raises(BulkResultError) as failure:
        StreamSync(orders, tenant, impatient, installation.database, installation.spool, no_progress).run()

    says = r"could not be downloaded whole \(.*\)"
    check_that_nothing_was_written_and_the_next_sync_succeeds(installation, tenant, failure.value, says)


@pytest.mark.parametrize(("fault", "options", "error", "says"), FAILURES, ids=[fault for fault, *_ in FAILURES])
def test_a_reload_that_fails_leaves_every_row_and_the_cursor_as_they_were(
    installation: Installation, shop: Shop, fault: Any, options: dict[str, Any], error: type[ShopifyError], says: str
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    shop.control.update_order(tags=["urgent"])
    rows, state = installation.row_versions(), installation.query(STATE)
    shop.control.fault(fault, connection="orders", **options)

    assert isinstance(installation.error_of(tenant, "orders", full=True), error)

    assert installation.row_versions() == rows
    assert installation.query(STATE) == state
    assert installation.sync(tenant, "orders")["orders"].rows_changed == 1


def test_a_download_that_breaks_off_goes_on_where_it_was(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    shop.control.fault("bulk_reset", connection="orders", bytes=20_000, times=2)

    report = installation.sync(tenant, "orders")["orders"]

    assert report.tables["orders"].inserted == 60
    assert shop.control.stats()["downloads"] == 3


def test_one_streams_failure_fails_no_other(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    shop.control.fault("bulk_fail", connection="orders")

    results = installation.try_sync(tenant)

    assert [stream for stream, result in results.items() if not hasattr(result, "error")] == [
        *("shop", "products", "customers", "abandoned_checkouts")
    ]
    assert installation.value("select count(*) from raw.orders") == 0
    assert installation.value("select count(*) from raw.customers") > 0


# --- that go on failing ---


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("bulk_fail", {"code": "INTERNAL_SERVER_ERROR"}, r"ended as FAILED \(INTERNAL_SERVER_ERROR\)"),
        ("bulk_malformed", {"line": 1}, "has 59 root objects where Shopify announced 60|is malformed in line 1"),
    ],
)
def test_a_history_whose_bulk_operations_always_fail_is_read_in_pages_the_second_time(
    installation: Installation,
    other_installation: Installation,
    shop: Shop,
    fault: Any,
    options: dict[str, Any],
    reason: str,
) -> None:
    other_installation.sync(other_installation.connect(shop), "orders")
    tenant = installation.connect(shop)
    shop.control.fault(fault, connection="orders", count=1000, **options)

    assert isinstance(installation.error_of(tenant, "orders"), ShopifyError)
    report = installation.sync(tenant, "orders")["orders"]

    assert report.mode == "pages"
    (note,) = report.notes
    says = rf"{tenant.tenant_id}: bulk operations of orders failed 2 times in a row \(the last ({reason})\), "
    assert re.fullmatch(rf"{says}so the history was read in pages, which mark nothing as deleted\.", note)
    assert changed(installation.raw(), other_installation.raw()) == {}
    assert installation.sync(tenant, "orders")["orders"].rows_changed == 0


def test_one_that_failed_twice_is_not_waited_for_twice_again_and_success_is_remembered(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant, "orders")
    shop.control.fault("bulk_fail", connection="orders", count=3)
    installation.error_of(tenant, "orders", full=True)
    assert installation.sync(tenant, "orders", full=True)["orders"].mode == "pages"

    assert installation.sync(tenant, "orders", full=True)["orders"].mode == "pages"
    assert failures(installation) == 3
    assert installation.sync(tenant, "orders", full=True)["orders"].mode == "bulk"
    assert failures(installation) == 0
    shop.control.fault("bulk_fail", connection="orders")
    assert isinstance(installation.error_of(tenant, "orders", full=True), BulkFailedError)


def test_pages_mark_nothing_as_deleted_and_the_cursor_does_not_go_back(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant, "orders")
    cursor = "select cursor_at from ops.sync_state where stream = 'orders'"
    before = installation.value(cursor)
    shop.control.vanish("Order", installation.value("select min(id) from raw.orders"))
    shop.control.fault("bulk_fail", connection="orders", count=2)
    installation.error_of(tenant, "orders", full=True)

    installation.sync(tenant, "orders", full=True)

    assert installation.value("select count(*) from raw.orders where deleted_at is not null") == 0
    assert installation.value(cursor) >= before


def test_days_of_a_history_are_read_in_pages_too(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    zone = ZoneInfo(tenant.iana_timezone)
    for stream, table in (("orders", "orders"), ("customers", "customers")):
        (first, last, objects) = installation.query(
            f"""
            with days as (select (created_at at time zone %s)::date as day from raw.{table})
            select percentile_disc(0.3) within group (order by day), percentile_disc(0.7) within group (order by day),
                (select count(*) from days where day between
                    (select percentile_disc(0.3) within group (order by day) from days)
                    and (select percentile_disc(0.7) within group (order by day) from days))
            from days
            """,
            str(zone),
        )[0]
        shop.control.fault("bulk_fail", connection=stream, count=2)
        request = SyncRequest((stream,), full=True, since=first, until=last)
        syncer = Syncer(installation.database, installation.ring, installation.spool)
        (failure,) = syncer.sync_tenant(tenant, request)
        assert isinstance(failure, StreamFailure)

        (report,) = syncer.sync_tenant(tenant, request)

        assert isinstance(report, StreamReport), report.error
        assert report.mode == "pages"
        assert report.tables[table].read == objects > 0


@pytest.mark.parametrize(
    ("scopes", "says"),
    [
        (
            ("read_orders", "read_products", "read_all_orders"),
            "the token needs read_orders, read_customers and read_products, and lacks read_customers: grant the app",
        ),
        (None, "and has them, so the app lacks its approval for protected customer data"),
    ],
)
def test_what_was_denied_names_what_is_missing_and_is_not_tried_in_pages(
    installation: Installation, shop: Shop, scopes: tuple[str, ...] | None, says: str
) -> None:
    tenant = installation.connect(shop)
    if scopes is None:
        shop.control.fault("bulk_fail", connection="orders", code="ACCESS_DENIED", count=1000)
    else:
        shop.control.set_scopes(*scopes)

    for _ in range(3):
        error = installation.error_of(tenant, "orders")
        assert isinstance(error, AccessDeniedError)
        assert re.match(
            rf"{tenant.tenant_id}: bulk operation \S+ was denied \(ACCESS_DENIED\): to read orders", str(error)
        )
        assert says in str(error)
    assert "OrdersPage" not in shop.control.stats()["operations"]
    assert installation.value("select count(*) from ops.sync_state where bulk_operation_id is not null") == 0


@pytest.mark.parametrize("fault", ["bulk_fail", "bulk_expire"])
def test_an_operation_left_behind_that_has_failed_is_not_adopted(
    installation: Installation, shop: Shop, fault: Any
) -> None:
    tenant = installation.connect(shop)
    client = open_client(installation.database, installation.ring, tenant, app=None)
    shop.control.fault(fault, connection="orders")
    reader = BulkReader(client)
    left = reader.start(bulk_query("OrdersBulk"))
    with pytest.raises(BulkFailedError):
        reader.wait(left)
    with installation.database.connect() as connection:
        remember_bulk_operation(connection, tenant.tenant_id, "orders", left.id)

    assert installation.sync(tenant, "orders")["orders"].mode == "bulk"
