"""A bulk result that is not whole is told of, leaves nothing half-written, and stands in no later sync's way."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.installation import Installation, Shop
from xeno_pipeline.extraction.report import no_progress
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.sandbox.spec import DEFAULT_TOKEN
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import BulkFailedError, BulkResultError, ShopifyError
from xeno_pipeline.tenants.registry import Tenant

FAILURES = [
    ("bulk_fail", {"code": "INTERNAL_SERVER_ERROR"}, BulkFailedError, r"ended as FAILED \(INTERNAL_SERVER_ERROR\)"),
    ("bulk_expire", {}, BulkFailedError, "ended as EXPIRED"),
    ("bulk_malformed", {}, BulkResultError, r"is malformed in line [0-9,]+"),
]


def check_that_nothing_was_written_and_the_next_sync_succeeds(
    installation: Installation, tenant: Tenant, error: Exception, says: str
) -> None:
    sentence = rf"{tenant.tenant_id}: .*BulkOperation/\d+ {says}; nothing was loaded\. Run the sync again\."
    assert re.fullmatch(sentence, str(error))
    assert {table for table, rows in installation.raw().items() if rows} <= {"shops"}

    assert installation.sync(tenant, "orders")["orders"].tables["orders"].inserted == 60


@pytest.mark.parametrize(("fault", "options", "error", "says"), FAILURES, ids=[fault for fault, *_ in FAILURES])
def test_a_first_load_that_fails_writes_nothing_and_the_next_sync_succeeds(
    installation: Installation, shop: Shop, fault: str, options: dict[str, Any], error: type[ShopifyError], says: str
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
    installation: Installation, shop: Shop, fault: str, options: dict[str, Any], error: type[ShopifyError], says: str
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    shop.control.update_order(tags=["urgent"])
    rows, state = installation.row_versions(), installation.query("select * from ops.sync_state order by stream")
    shop.control.fault(fault, connection="orders", **options)

    assert isinstance(installation.error_of(tenant, "orders", full=True), error)

    assert installation.row_versions() == rows
    assert installation.query("select * from ops.sync_state order by stream") == state
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
