"""The progress of syncs is in the database while they run, and never stops one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.installation import Installation, Shop
from tests.support.registered import register
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.report import Progress, StreamFailure, StreamReport
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.extraction.sync_progress import RecordedRun, SyncProgress
from xeno_pipeline.tenants.offboarding import remove_tenant

RUN = RecordedRun("run", "command line")
BY_NAME = {stream.name for stream in STREAMS}


@pytest.fixture
def stores(database: Database) -> Installation:
    register(database, "acme", "globex")
    return Installation(database, None, None)  # type: ignore[arg-type]


def rows(installation: Installation) -> list[tuple[object, ...]]:
    return installation.query(
        "select tenant_id, stream, phase, records, total from ops.sync_progress order by tenant_id, stream"
    )


def test_a_history_in_bulk_and_changes_in_pages_are_written_as_they_are_read(
    installation: Installation, shop: Shop
) -> None:
    tenant, seen = installation.connect(shop), set()
    syncer = Syncer(installation.database, installation.ring, installation.spool)

    def sync(run_id: str) -> set[str]:
        """Sync the store; the streams of which something was read."""
        with SyncProgress(installation.database, replace(RUN, run_id=run_id), {}, seconds_between=0.0) as progress:

            def look(each: Progress) -> None:
                progress.add(each)
                seen.add(each.phase)

            results = replace(syncer, on_progress=look, on_result=progress.add_result).sync_tenants(
                [tenant], SyncRequest()
            )
        reports = [result for result in results if isinstance(result, StreamReport)]
        assert len(reports) == len(results)
        return {report.stream for report in reports if report.stream in BY_NAME and not report.is_idle}

    def written(run_id: str) -> dict[str, str]:
        query = "select stream, phase from ops.sync_progress join ops.syncs using (sync_id) where run_id = %s"
        return dict(installation.query(query, run_id))

    assert sync("history") == BY_NAME
    assert written("history") == dict.fromkeys([*BY_NAME, "shop"], "done")
    assert {"collecting", "loading"} <= seen
    orders = installation.value("select records from ops.sync_progress where stream = 'orders'")
    assert orders >= installation.value("select count(*) from raw.orders") > 50

    read = sync("idle")
    assert written("idle") == dict.fromkeys(read, "done")  # where nothing is read, nothing is written
    shop.control.place_order()
    changed = sync("changes")
    assert "orders" in changed
    assert written("changes") == dict.fromkeys(changed, "done")
    assert "reading" in seen


def test_a_thousand_steps_within_a_second_are_few_statements(stores: Installation) -> None:
    stores.execute(
        """
        create table public.statements ();
        create function public.count() returns trigger language plpgsql as
        $$ begin insert into public.statements default values; return null; end $$;
        create trigger count after insert on ops.sync_progress for each statement execute function public.count()
        """
    )
    with SyncProgress(stores.database, RUN, {}, seconds_between=3600.0) as progress:
        for done in range(1000):
            progress.add(Progress("acme", "orders", "loading", done, 1000))
    assert rows(stores) == [("acme", "orders", "loading", 999, 1000)]
    assert stores.value("select count(*) from public.statements") <= 2


def test_a_failure_keeps_what_was_read_until_then(stores: Installation) -> None:
    with SyncProgress(stores.database, RUN, {}) as progress:
        progress.add(Progress("acme", "orders", "reading", 70, 100))
        progress.add_result(StreamFailure("acme", "orders", ValueError("a name, maybe")))
        progress.add_result(StreamFailure("globex", "orders", ValueError("a name, maybe")))
    assert rows(stores) == [("acme", "orders", "failed", 70, 100), ("globex", "orders", "failed", 0, None)]
    assert stores.query("select distinct reason from ops.sync_progress") == [("ValueError",)]


def test_counts_that_no_store_has_are_bounded(stores: Installation) -> None:
    with SyncProgress(stores.database, RUN, {}) as progress:
        progress.add(Progress("acme", "orders", "loading", -1, 10**30))
    assert rows(stores) == [("acme", "orders", "loading", 0, 2**63 - 1)]


def test_what_the_database_refuses_of_one_tenant_is_logged_and_stops_no_other(
    stores: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    stores.execute("alter table ops.sync_progress add check (tenant_id <> 'acme')")
    with SyncProgress(stores.database, RUN, {}) as progress:
        for tenant in ("acme", "globex"):
            progress.add(Progress(tenant, "orders", "loading", 1))
    assert rows(stores) == [("globex", "orders", "loading", 1, None)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("acme: the progress of its sync could not be written: CheckViolation")


def test_a_tenant_that_was_removed_gets_no_row(stores: Installation, caplog: pytest.LogCaptureFixture) -> None:
    with SyncProgress(stores.database, RUN, {}, seconds_between=0.0) as progress:
        with stores.database.connect() as connection:
            remove_tenant(connection, "acme")
        progress.add(Progress("acme", "orders", "loading", 1))
    assert rows(stores) == stores.query("select from ops.syncs") == []
    assert "removed" in caplog.messages[0]


def test_a_writer_whose_connection_is_lost_opens_another(stores: Installation) -> None:
    with SyncProgress(stores.database, RUN, {}, seconds_between=0.0) as progress:
        progress.add(Progress("acme", "orders", "loading", 1))
        wait_for(lambda: rows(stores) != [])
        stores.query(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
            """
        )
        progress.add(Progress("acme", "orders", "loading", 2))
        wait_for(lambda: not progress._pending)
        progress.add(Progress("acme", "orders", "loading", 3))
    assert rows(stores) == [("acme", "orders", "loading", 3, None)]


def wait_for(is_true: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_true():
            return
        threading.Event().wait(0.02)
    raise AssertionError("It did not happen within ten seconds.")
