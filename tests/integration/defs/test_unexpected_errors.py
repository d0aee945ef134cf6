"""An unexpected error contains no personal data, wherever it is written."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest

from tests.support.installation import Shop
from tests.support.location import Location
from tests.support.traces import PERSON, TRACES, traces
from xeno_pipeline.defs.jobs.names import SYNC_JOB

pytestmark = pytest.mark.thorough


def test_a_row_that_the_database_refuses_is_quoted_in_no_log(
    location: Location, shop: Shop, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    location.connect(shop)
    shop.control.create_customer(**PERSON)
    installation = location.installation
    assert location.pipeline.dbt_project, "the marts' relations are made"

    def refuse(table: str) -> None:
        installation.execute(f"alter table {table} add constraint refused check (last_name <> '{PERSON['last_name']}')")

    @dg.op
    def note() -> None:
        with installation.database.connect() as connection:
            connection.execute(f"insert into public.notes values ('{PERSON['last_name']}')")

    @dg.job
    def notes() -> None:
        note()

    refuse("raw.customers")
    assert not location.run(SYNC_JOB, "extract_tenants").success
    installation.execute("alter table raw.customers drop constraint refused")
    refuse("intermediate.int_customers")
    assert not location.run(SYNC_JOB, "extract_tenants").success
    installation.execute("create table public.notes (last_name text)")
    refuse("public.notes")
    assert not notes.execute_in_process(instance=location.instance, raise_on_error=False).success

    events = installation.value("select string_agg(event, ' ') from dagster.event_logs")
    assert events.count("new row for relation customers violates check constraint refused") >= 2
    assert "new row for relation notes violates check constraint refused" in events
    assert {place for place in traces(location) if not place.startswith("raw.")} == set()
    server_log = Path(installation.value("show data_directory"), "server.log").read_text()
    for log in (caplog.text, *capfd.readouterr(), server_log):
        assert [word for word in TRACES if word in log.lower()] == []
