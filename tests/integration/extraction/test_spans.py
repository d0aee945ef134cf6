"""A backfill of a span of days reads again what was created then, and says nothing of the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.installation import Installation, Shop
from xeno_pipeline.errors import UsageError
from xeno_pipeline.extraction.spans import Span
from xeno_pipeline.extraction.sync import SyncRequest
from xeno_pipeline.tenants import usage
from xeno_pipeline.tenants.usage import LimitReachedError

DAY = date(2026, 3, 29)  # of 23 hours in Berlin


def test_a_span_is_of_whole_days_as_the_shop_counts_them() -> None:
    span = Span(ZoneInfo("Europe/Berlin"), DAY, DAY)
    assert span.since == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert span.until == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert span.filter("created_at") == "created_at:>='2026-03-28T23:00:00Z' created_at:<'2026-03-29T22:00:00Z'"


@pytest.mark.parametrize(
    "how", [{"since": DAY}, {"full": True, "since": date(2026, 3, 30), "until": DAY}], ids=["not full", "backwards"]
)
def test_a_span_that_cannot_be_read_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SyncRequest(**how)


def test_only_what_was_created_in_the_span_is_read_again_and_found_gone(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant, "orders")
    orders = installation.query(
        "select id, (created_at at time zone %s)::date from raw.orders order by created_at", tenant.iana_timezone
    )
    (outside, _), (inside, day) = orders[0], orders[30]
    shop.control.vanish("Order", outside)
    shop.control.vanish("Order", inside)
    progress = "select cursor_at, history_loaded_at, synced_at from ops.sync_state order by stream"
    before = installation.query(progress)

    span = {"since": day, "until": day}
    report = installation.sync(tenant, "orders", full=True, accept_deletions=True, **span)["orders"]

    assert report.tables["orders"].read == sum(of == day for _, of in orders) - 1
    assert installation.query("select id from raw.orders where deleted_at is not null") == [(inside,)]
    assert installation.query(progress) == before


def test_at_its_monthly_limit_a_tenants_history_waits_and_its_changes_are_read_on(
    installation: Installation, shop: Shop
) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    used = installation.value("select points from ops.api_usage where tenant_id = %s", shop.handle)
    assert used == pytest.approx(shop.control.stats()["points"], abs=10)  # all but what registering it took
    with installation.database.connect() as connection:
        usage.set_limit(connection, shop.handle, int(used))
    (order,) = shop.control.place_order()["orders"]

    error = installation.error_of(tenant, "orders", full=True)
    assert isinstance(error, LimitReachedError)
    assert f"`xeno tenant limit {shop.handle} POINTS`" in str(error)

    installation.sync(tenant)
    assert installation.value("select count(*) from raw.orders where id = %s", order) == 1
