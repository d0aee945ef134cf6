"""A tenant moved from one installation to another, in this process."""

from __future__ import annotations

from pathlib import Path

from tests.support.installation import Installation
from xeno_pipeline.moving.archive import ArchiveReader, RowCounter
from xeno_pipeline.moving.arrival import Imported, import_archive
from xeno_pipeline.moving.departure import export_rest, export_tenant, hold_still
from xeno_pipeline.moving.key import make_key, ring_of
from xeno_pipeline.moving.manifest import Manifest

KEY = make_key()


def ignore_rows(table: str, rows: int, total: int | None) -> None:
    """Shows nothing."""


def export(
    installation: Installation, handle: str, path: Path, *, rest: bool = False, on_rows: RowCounter = ignore_rows
) -> Manifest:
    """Write a tenant's archive, or the rest of one that was exported."""
    with hold_still(installation.database, handle) as held, path.open("wb") as file:
        if rest:
            return export_rest(installation.database, held, file, ring_of(KEY), on_rows)
        return export_tenant(installation.database, installation.ring, held, file, ring_of(KEY), on_rows)


def import_(installation: Installation, path: Path, key: str = KEY, on_rows: RowCounter = ignore_rows) -> Imported:
    """Load an archive."""
    ring = ring_of(key)
    archive = ArchiveReader(path, ring)
    try:
        return import_archive(installation.database, installation.ring, archive, ring, on_rows)
    finally:
        archive.close()
