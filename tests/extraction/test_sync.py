"""A sync reads a store's history in bulk, then what changed in pages, and never anything by halves."""

from __future__ import annotations

from tests.installation import Installation, Shop, changed


def test_a_second_sync_reads_a_handful_of_pages_and_writes_no_row(installation: Installation, shop: Shop) -> None:
    tenant = installation.connect(shop)
    installation.sync(tenant)
    before = installation.row_versions()
    shop.control.reset_stats()

    reports = installation.sync(tenant)

    assert installation.row_versions() == before
    assert sum(report.rows_changed for report in reports.values()) == 0
    assert shop.control.stats()["requests"] <= 6
