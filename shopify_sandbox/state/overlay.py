"""What a store remembers in SQLite: objects changed, added or deleted since its history ended, and its settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_SCHEMA = """
create table if not exists settings (name text primary key, value blob not null) without rowid;
create table if not exists objects (
    kind text not null, id integer not null, content blob, primary key (kind, id)
) without rowid;
create table if not exists bulk_operations (id integer primary key, content blob not null);
"""


class Overlay:
    """One SQLite file. Not safe to use from two threads at once: its store has a lock."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)

    def setting(self, name: str, default: Any = None) -> Any:
        """A remembered value."""
        found = self._db.execute("select value from settings where name = ?", (name,)).fetchone()
        return default if found is None else orjson.loads(found[0])

    def set(self, name: str, value: Any) -> None:
        """Remember a value (anything JSON can hold)."""
        self._db.execute("insert or replace into settings values (?, ?)", (name, orjson.dumps(value)))

    def blob(self, name: str) -> bytes | None:
        """Remembered bytes."""
        found = self._db.execute("select value from settings where name = ?", (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def set_blob(self, name: str, value: bytes) -> None:
        """Remember bytes."""
        self._db.execute("insert or replace into settings values (?, ?)", (name, value))

    def objects(self) -> Iterator[tuple[str, int, dict[str, Any] | None]]:
        """Every changed object; None for deleted ones."""
        for kind, number, content in self._db.execute("select kind, id, content from objects"):
            yield kind, number, None if content is None else orjson.loads(content)

    def object(self, kind: str, number: int) -> dict[str, Any]:
        """A changed object that was not deleted."""
        found = self._db.execute("select content from objects where kind = ? and id = ?", (kind, number)).fetchone()
        content: dict[str, Any] = orjson.loads(found[0])
        return content

    def put(self, kind: str, number: int, content: Any) -> None:
        """Remember an object (a dataclass); None marks it as deleted."""
        data = None if content is None else orjson.dumps(content)
        self._db.execute("insert or replace into objects values (?, ?, ?)", (kind, number, data))

    def forget(self, kind: str, number: int) -> None:
        """Back to what the source says of an object."""
        self._db.execute("delete from objects where kind = ? and id = ?", (kind, number))

    def bulk_operations(self) -> list[dict[str, Any]]:
        """All remembered bulk operations, oldest first."""
        rows = self._db.execute("select content from bulk_operations order by id")
        return [orjson.loads(content) for (content,) in rows]

    def put_bulk_operation(self, number: int, content: dict[str, Any]) -> None:
        """Remember a bulk operation."""
        self._db.execute("insert or replace into bulk_operations values (?, ?)", (number, orjson.dumps(content)))

    def begin(self) -> None:
        """Open a transaction: all writes until `commit` happen together, all reads see one moment."""
        self._db.execute("begin")

    def commit(self) -> None:
        """End the transaction."""
        self._db.execute("commit")

    def rollback(self) -> None:
        """Undo the transaction."""
        self._db.execute("rollback")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
