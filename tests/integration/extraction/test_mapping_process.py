"""A history whose rows are made in processes of their own: where one dies, the database stays as it was."""

from __future__ import annotations

import pytest

from tests.support.installation import Installation, Shop
from tests.support.mapping_processes import mapping_processes
from xeno_pipeline.extraction.report import Progress, StreamFailure, StreamReport
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.raw import mapping_process
from xeno_pipeline.raw.mapping_process import MappingProcessError


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of some megabytes counts as large."""
    monkeypatch.setattr(mapping_process, "_BLOCK_BYTES", 1 << 20)


def test_where_a_process_dies_nothing_is_loaded_and_the_next_sync_mends_it(
    installation: Installation, depot: Shop
) -> None:
    tenant = installation.connect(depot)
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.phase == "loading" and progress.done and not killed:
            process = mapping_processes()[-1]
            killed.append(process.pid)
            process.kill()

    syncer = Syncer(installation.database, installation.ring, installation.spool, kill)
    results = {result.stream: result for result in syncer.sync_tenant(tenant, SyncRequest(("orders",)))}

    failure = results["orders"]
    assert isinstance(failure, StreamFailure)
    assert isinstance(failure.error, MappingProcessError)
    assert killed
    assert installation.value("select count(*) from raw.orders") == 0
    assert installation.value("select count(*) from raw.order_sales") == 0
    assert list(installation.spool.iterdir()) == []
    report = installation.sync(tenant, "orders")["orders"]
    assert isinstance(report, StreamReport)
    assert report.tables["orders"].inserted == 1500
    assert mapping_processes() == []
