"""The file that a tenant is moved in: a ZIP with a member for each table, and a manifest.

Members are written and read as streams, so memory does not grow with the tenant. The manifest comes last, with the
digests of all members; it is sealed with the archive's key.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import ValidationError

from xeno_pipeline.errors import XenoError
from xeno_pipeline.moving.manifest import ArchivedTable, Manifest
from xeno_pipeline.tenants.credentials import CredentialError, KeyRing, Purpose

RowCounter = Callable[[str, int, int | None], None]
"""Called now and then with a table, its rows so far, and how many there are (None: that is not known)."""

CHUNK_BYTES = 1 << 18

_MANIFEST = "manifest.json"
_SEAL = "manifest.seal"
_MOST_MANIFEST_BYTES = 16 << 20
_LEVEL = 1
"""Of compression: JSON shrinks to a sixth, and the database is what a move waits for."""

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(KeyError, ValueError, OverflowError, NotImplementedError, RuntimeError, OSError),
)
"""What zipfile raises for files that are not as it expects."""


class DamagedArchiveError(XenoError):
    """The file is not an archive as it was written."""


class OtherKeyError(XenoError):
    """The key is not the archive's."""


class ArchiveWriter:
    """Writes an archive; a context manager.

    Args:
        file: open for writing, empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._zip.fp = None  # else it writes its directory when it is collected, to a file that is closed by then

    def write_table(
        self, name: str, columns: Sequence[str], rows: Iterable[bytes | bytearray | memoryview], on_rows: RowCounter
    ) -> ArchivedTable:
        """Write the rows of a table, a line each; return what the manifest says of them."""
        digest, count = hashlib.sha256(), 0
        with self._zip.open(_member(name), "w", force_zip64=True) as member:
            for chunk, count in _chunks(rows):
                digest.update(chunk)
                member.write(chunk)
                on_rows(name, count, None)
        return ArchivedTable(name=name, columns=tuple(columns), rows=count, sha256=digest.hexdigest())

    def finish(self, manifest: Manifest, ring: KeyRing) -> None:
        """Write the manifest and its seal, without which the file is no archive."""
        content = manifest.model_dump_json(indent=1).encode()
        self._zip.writestr(_MANIFEST, content)
        self._zip.writestr(_SEAL, ring.seal(manifest.tenant_id, _digest(content), Purpose.ARCHIVE)[1])
        self._zip.close()


class ArchiveReader:
    """Reads an archive whose manifest is sealed with a key.

    Raises:
        DamagedArchiveError: it is none, or not whole.
        OtherKeyError: the seal is not the key's.
    """

    def __init__(self, path: Path, ring: KeyRing) -> None:
        self._path = path
        with self._damage_explained():
            self._zip = zipfile.ZipFile(path)
            content, seal = self._read(_MANIFEST), self._read(_SEAL)
        try:
            self.manifest = Manifest.model_validate_json(content)
        except ValidationError:
            raise DamagedArchiveError(
                f"{path} is no archive of a tenant that this xeno-pipeline can read: use the version that wrote it."
            ) from None
        try:
            is_sealed = ring.open(self.manifest.tenant_id, ring.current, seal, Purpose.ARCHIVE) == _digest(content)
        except CredentialError:
            is_sealed = False
        if not is_sealed:
            raise OtherKeyError(
                f"The key is not that of {path}, or the file was changed since: `xeno tenant export` printed the key "
                "when it wrote the file."
            )

    def verify(self, on_rows: RowCounter) -> None:
        """Read all of it, and compare it with the manifest.

        Raises:
            DamagedArchiveError: something is missing or differs.
        """
        for table in self.manifest.tables:
            digest, rows = hashlib.sha256(), 0
            for chunk in self.chunks(table):
                digest.update(chunk)
                rows += chunk.count(b"\n")
                on_rows(f"{table.name}, checked", rows, table.rows)
            if (digest.hexdigest(), rows) != (table.sha256, table.rows):
                raise self._damaged(f"{table.name} is not what was written")

    def chunks(self, table: ArchivedTable) -> Iterator[bytes]:
        """The rows of a table, in chunks of whole lines.

        Raises:
            DamagedArchiveError: they cannot be read.
        """
        rest = b""
        with self._damage_explained(), self._zip.open(_member(table.name)) as member:
            while chunk := member.read(CHUNK_BYTES):
                lines, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    yield lines + newline
        if rest:
            raise self._damaged(f"{table.name} ends within a row")

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _read(self, name: str) -> bytes:
        with self._zip.open(name) as member:
            content = member.read(_MOST_MANIFEST_BYTES + 1)
        if len(content) > _MOST_MANIFEST_BYTES:
            raise ValueError(f"{name} is too large")
        return content

    @contextmanager
    def _damage_explained(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> DamagedArchiveError:
        return DamagedArchiveError(
            f"{self._path} is not a whole archive of a tenant ({reason}): copy it again, or export the tenant again."
        )


def _member(table: str) -> str:
    return f"{table}.copy"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _chunks(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[tuple[bytes, int]]:
    """Rows joined to chunks, each with the number of rows so far."""
    pending: list[bytes | bytearray | memoryview] = []
    size, count = 0, 0
    for row in rows:
        pending.append(row)
        size += len(row)
        count += 1
        if size >= CHUNK_BYTES:
            yield b"".join(pending), count
            pending, size = [], 0
    if pending:
        yield b"".join(pending), count
