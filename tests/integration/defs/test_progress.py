"""A run's log says how far its syncs are, now and then."""

from __future__ import annotations

import logging
from typing import cast

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from xeno_pipeline.defs import run_log
from xeno_pipeline.defs.jobs.names import SYNC_JOB
from xeno_pipeline.defs.run_log import ProgressLog
from xeno_pipeline.extraction.report import Progress


def test_a_run_tells_records_so_far_of_how_many(
    location: Location, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "ProgressLog", lambda log: ProgressLog(log, seconds_between=0.0))
    location.connect(shop)
    result = location.run(SYNC_JOB, "extract_tenants", transform=False)
    lines = [entry.user_message for entry in location.instance.all_logs(result.run_id)]
    assert any(line.startswith(f"{shop.handle}: orders: ") and " of " in line for line in lines)


def test_streams_that_move_meanwhile_are_told_in_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(cast(dg.DagsterLogManager, logging.getLogger("run")), seconds_between=3600.0)
    for done in range(1000):
        log.take(Progress("acme", "orders", "loading", done, 1000))
        log.take(Progress("acme", "customers", "loading", done))
    assert caplog.messages == []
    log._seconds_between = 0.0
    log.take(Progress("acme", "orders", "loading", 1000, 1000))
    assert caplog.messages == ["acme: orders: loading 1,000 of 1,000\nacme: customers: loading 999"]
