"""Loading rows into the raw tables: streamed, idempotent, newest wins, all of a load or nothing of it.

Where a tenant has no rows yet they are copied straight into the raw tables; else into temporary twins, and
merged from there set by set. Everything happens in the caller's transaction, so that a cursor written in it
moves with the rows. Its lock on (tenant, root table) keeps two loads apart for no longer than they write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from xeno_pipeline.errors import XenoError
from xeno_pipeline.warehouse import merging
from xeno_pipeline.warehouse.connection import Connection
from xeno_pipeline.warehouse.copying import Row, copy_rows
from xeno_pipeline.warehouse.raw_tables import RawTable, tree
from xeno_pipeline.warehouse.suppression import Suppressed, load_suppressed

EVERYTHING = 0
"""The id under which a change of all objects of a kind is noted."""

_MOST_GONE = 0.01
"""The share of a stream that may disappear between two complete reads without a question."""


class TooManyGoneError(XenoError):
    """A complete read lacks more objects than disappear in the normal course of things."""


@dataclass
class TableCounts:
    """What a load did to one table, in rows."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    """Rows removed, and roots marked as gone."""

    @property
    def changed(self) -> int:
        """Rows that are not as they were."""
        return self.inserted + self.updated + self.deleted

    def __iadd__(self, other: TableCounts) -> TableCounts:
        self.read += other.read
        self.inserted += other.inserted
        self.updated += other.updated
        self.deleted += other.deleted
        return self


@dataclass(frozen=True)
class Completeness:
    """Says that a read holds everything its token can see, so that what it lacks is gone.

    Args:
        visible_since: objects created before this instant could not be seen (None: all could).
        accept: believe it however many are gone.
        visible_until: objects created at this instant or later could not be seen either (None: all could).
    """

    visible_since: datetime | None = None
    accept: bool = False
    visible_until: datetime | None = None

    def within(self, since: datetime | None, until: datetime | None) -> Completeness:
        """The same of a read that was confined to what was created from an instant, up to but not including another."""
        known = [instant for instant in (self.visible_since, since) if instant]
        return replace(self, visible_since=max(known, default=None), visible_until=until)


@dataclass(frozen=True)
class Load:
    """One load into a root table and its children.

    Args:
        tenant_id: whose rows they are.
        root: the root table.
        read_at: when Shopify was read, by its clock.
        complete: set where the read holds everything there is.
    """

    tenant_id: str
    root: RawTable
    read_at: datetime
    complete: Completeness | None = None

    def run(self, connection: Connection, rows: Callable[[Suppressed], Iterable[Row]]) -> dict[str, TableCounts]:
        """Load the rows, in the connection's current transaction.

        Args:
            connection: not in autocommit mode.
            rows: gives the rows from the first on, without what tells of persons who were redacted; it may be
                called twice, with the same argument.

        Returns:
            What happened, by table.

        Raises:
            TooManyGoneError: a complete read lacks more than one per cent of what is there.
        """
        lock(connection, self.tenant_id, self.root)
        suppressed = load_suppressed(connection, self.tenant_id)  # no redaction comes in between: it takes that lock
        if self._is_first(connection):
            try:
                with connection.transaction():
                    return self._copy(connection, rows(suppressed))
            except psycopg.errors.UniqueViolation:
                pass  # an object came twice: the merge sorts that out
        return self._merge(connection, rows(suppressed))

    def bury(self, connection: Connection, ids: Collection[int]) -> int:
        """Mark roots as gone that Shopify said it deleted, in the connection's current transaction.

        A load of what was read before this moment does not bring them back.

        Returns:
            How many of them were there.
        """
        lock(connection, self.tenant_id, self.root)
        bound = {"tenant": self.tenant_id, "ids": list(ids), "now": datetime.now(UTC)}
        buried = connection.execute(merging.tombstone(self.root), bound).fetchall()
        if buried:
            note_changes(connection, self.tenant_id, self.root, ids_of(buried))
        return len(buried)

    def _is_first(self, connection: Connection) -> bool:
        found = " or ".join(
            f"exists (select from raw.{table.name} where tenant_id = %(tenant)s)" for table in tree(self.root)
        )
        row = connection.execute(f"select {found}", {"tenant": self.tenant_id}).fetchone()
        return row == (False,)

    def _copy(self, connection: Connection, rows: Iterable[Row]) -> dict[str, TableCounts]:
        """Copy the rows into the raw tables themselves."""
        copied = copy_rows(connection, rows, {t.name: _target("raw", t.name, t) for t in tree(self.root)})
        if copied:
            note_changes(connection, self.tenant_id, self.root, f"values ({EVERYTHING}::bigint)")
        return {name: TableCounts(read=count, inserted=count) for name, count in copied.items()}

    def _merge(self, connection: Connection, rows: Iterable[Row]) -> dict[str, TableCounts]:
        """Copy the rows into temporary twins, and merge these."""
        tables = tree(self.root)
        connection.execute(merging.CREATE_CHANGED_ROOTS)
        for table in tables:
            connection.execute(merging.create_staged(table))
        targets = {t.name: _target("pg_temp", f"staged_{t.name}", t) for t in tables}
        copied = copy_rows(connection, rows, targets)
        counts = {table.name: TableCounts(read=copied[table.name]) for table in tables}
        if copied or self.complete:
            if self.complete:
                connection.execute(merging.note_seen(self.root))
            self._sift(connection, tables)
            self._apply(connection, tables, counts)
            note_changes(connection, self.tenant_id, self.root, "select distinct id from changed_roots")
            connection.execute("drop table if exists seen")
        connection.execute(merging.drop_temporary(tables))  # the caller may load more in the same transaction
        return counts

    def _sift(self, connection: Connection, tables: Iterable[RawTable]) -> None:
        """Leave in the twins one row per object, and only objects that are not older than what is there."""
        for table in tables:
            connection.execute(f"analyze staged_{table.name}")
            connection.execute(merging.drop_repeated(table))
            if table.parent is None:
                connection.execute(merging.drop_stale(table), {"tenant": self.tenant_id})
            else:
                connection.execute(merging.drop_orphans(table))

    def _apply(self, connection: Connection, tables: tuple[RawTable, ...], counts: Mapping[str, TableCounts]) -> None:
        """Bring the raw tables to what the twins hold."""
        bound = {"tenant": self.tenant_id, "read_at": self.read_at}
        for table in tables:
            inserted, updated = _one_row(connection, merging.upsert(table), bound)
            counts[table.name].inserted, counts[table.name].updated = inserted, updated
        for table in reversed(tables):
            if table.parent is not None:
                (counts[table.name].deleted,) = _one_row(connection, merging.delete_missing(table), bound)
        if self.complete is not None:
            counts[self.root.name].deleted = self._tombstone(connection, self.complete)

    def _tombstone(self, connection: Connection, complete: Completeness) -> int:
        bound = {
            "tenant": self.tenant_id,
            "read_at": self.read_at,
            "visible_since": complete.visible_since,
            "visible_until": complete.visible_until,
        }
        missing, live = _one_row(connection, merging.count_missing(self.root), bound)
        refuse_too_many_gone(self.tenant_id, self.root, missing, live, complete=complete)
        (gone,) = _one_row(connection, merging.tombstone_missing(self.root), bound)
        return gone


def refuse_too_many_gone(tenant_id: str, root: RawTable, missing: int, live: int, *, complete: Completeness) -> None:
    """Do nothing where no more is gone than in the normal course of things, or however much is accepted.

    Args:
        tenant_id: whose objects they are.
        root: their table.
        missing: how many are gone.
        live: of how many.
        complete: what was read.

    Raises:
        TooManyGoneError: it is more than one per cent.
    """
    if missing > _MOST_GONE * live and not complete.accept:
        raise TooManyGoneError(
            f"{tenant_id}: {missing:,} of {live:,} {root.name} are no longer at Shopify, more than one per cent; "
            "none of them was marked as gone. If they really are, run it again with --accept-deletions."
        )


def lock(connection: Connection, tenant_id: str, root: RawTable) -> None:
    """Keep others from writing to a tenant's rows of a root table and its children, until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{root.name}/{tenant_id}"])


def note_changes(connection: Connection, tenant_id: str, root: RawTable, ids: str) -> None:
    """Note which roots changed, for the next transform of the tenant, and when.

    Args:
        connection: in the transaction that changes them, and holds the lock on them.
        tenant_id: whose they are.
        root: their table.
        ids: a query of one column.
    """
    connection.execute(
        f"""
        with
            changed (id) as ({ids}),
            noted as (
                insert into ops.changes (tenant_id, object, object_id)
                select %(tenant)s, %(object)s, id from changed
                on conflict (tenant_id, object, object_id) do update set transform_id = null
                where changes.transform_id is not null
            )
        insert into ops.last_changes
        select %(tenant)s, %(object)s, now() where exists (select from changed)
        on conflict (tenant_id, object) do update
        set changed_at = greatest(last_changes.changed_at, excluded.changed_at)
        """,
        {"tenant": tenant_id, "object": root.name},
    )


def ids_of(rows: Iterable[tuple[int, ...]]) -> str:
    """The query of one column for the ids in the first place of some rows; of one row at least."""
    return "values " + ", ".join(f"({row[0]}::bigint)" for row in rows)


def _target(schema: str, name: str, table: RawTable) -> sql.Composable:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.copied_columns))
    return sql.SQL("{} ({})").format(sql.Identifier(schema, name), columns)


def _one_row(connection: Connection, statement: str, bound: Mapping[str, object]) -> tuple[int, ...]:
    row = connection.execute(statement, bound).fetchone()
    assert row is not None
    return tuple(row)
