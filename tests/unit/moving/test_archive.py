"""An archive gives back what was written, or is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xeno_pipeline.moving import archive as archives
from xeno_pipeline.moving.archive import ArchiveReader, ArchiveWriter, DamagedArchiveError, OtherKeyError
from xeno_pipeline.moving.key import make_key, ring_of
from xeno_pipeline.moving.manifest import Manifest

RING = ring_of(make_key())
ROWS = st.lists(st.binary(max_size=40).map(lambda row: row.replace(b"\n", b"") + b"\n"), max_size=30)
"""Lines of any length around that of a chunk, which the tests make small."""

ANEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def ignore(table: str, rows: int, total: int | None) -> None:
    """Shows nothing."""


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "CHUNK_BYTES", 32)


def write(path: Path, rows: list[bytes]) -> None:
    with path.open("wb") as file:
        writer = ArchiveWriter(file)
        tables = (writer.write_table("raw.orders", ("id",), rows, ignore),)
        manifest = Manifest(
            kind="rest",
            product="1",
            schema_version="0031",
            exported_at=datetime(2026, 6, 30, tzinfo=UTC),
            tenant_id="acme",
            shop_gid="gid://shopify/Shop/1",
            tables=tables,
        )
        writer.finish(manifest, RING)


def read(path: Path) -> bytes:
    reader = ArchiveReader(path, RING)
    try:
        reader.verify(ignore)
        (table,) = reader.manifest.tables
        chunks = list(reader.chunks(table))
    finally:
        reader.close()
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert sum(chunk.count(b"\n") for chunk in chunks) == table.rows
    return b"".join(chunks)


@ANEW
@given(rows=ROWS)
def test_rows_come_back_in_whole_lines(tmp_path: Path, rows: list[bytes]) -> None:
    write(tmp_path / "archive", rows)
    assert read(tmp_path / "archive") == b"".join(rows)


@ANEW
@given(rows=ROWS, data=st.data())
def test_whatever_is_changed_or_cut_off_is_refused_or_makes_no_difference(
    tmp_path: Path, rows: list[bytes], data: st.DataObject
) -> None:
    write(tmp_path / "archive", rows)
    content = bytearray((tmp_path / "archive").read_bytes())
    if data.draw(st.booleans(), "cut off"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "archive").write_bytes(content)
    try:
        found = read(tmp_path / "archive")
    except (DamagedArchiveError, OtherKeyError):
        return
    assert found == b"".join(rows)
