"""A run's log reports the progress of its syncs from time to time."""

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


def test_a_run_logs_how_many_records_of_how_many_are_done(
    location: Location, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "ProgressLog", lambda log: ProgressLog(log, seconds_between=0.0))
    location.connect(shop)
    result = location.run(SYNC_JOB, "extract_tenants", transform=False)
    lines = [entry.user_message for entry in location.instance.all_logs(result.run_id)]
    assert any(line.startswith(f"{shop.handle}: orders: ") and " of " in line for line in lines)


def test_streams_that_progressed_are_logged_in_one_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(cast(dg.DagsterLogManager, logging.getLogger("run")), seconds_between=3600.0)
    for done in range(1000):
        log.add(Progress("acme", "orders", "loading", done, 1000))
        log.add(Progress("acme", "customers", "loading", done))
    assert caplog.messages == []
    log._seconds_between = 0.0
    log.add(Progress("acme", "orders", "loading", 1000, 1000))
    assert caplog.messages == ["acme: orders: loading 1,000 of 1,000\nacme: customers: loading 999"]
