"""Loading rows into the raw tables: streamed, idempotent, newest wins, all of a load or nothing of it.

Where a tenant has no rows yet they are copied straight into the raw tables; else into temporary twins, and
merged from there set by set. Everything happens in the caller's transaction, so that a cursor written in it
moves with the rows. Its lock on (tenant, root table) keeps two loads apart for no longer than they write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.tenant_lock import lock_against_removal
from xeno_pipeline.errors import XenoError
from xeno_pipeline.raw import merge as merging
from xeno_pipeline.raw.copy import REFUSALS, Row, copy_rows
from xeno_pipeline.raw.set_aside import Refusals, Refused, forget
from xeno_pipeline.raw.suppression import Suppressed, load_suppressed
from xeno_pipeline.raw.tables import KINDS, RawTable, tree

ALL_OBJECTS = 0
"""The id under which a change of all objects of a kind is noted."""

RowSource = Callable[[Suppressed, Callable[[Refused], None]], Iterable[Row]]
"""Makes the rows of a load without what tells of suppressed persons, and tells of the records that do not fit."""

_MOST_GONE = 0.01
"""The share of a stream that may disappear between two complete reads without a question."""


class TooManyDeletionsError(XenoError):
    """A complete read lacks more objects than disappear in the normal course of things."""


@dataclass
class TableCounts:
    """What a load did to one table, in rows."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    """Rows removed, and roots marked as gone."""
    set_aside: int = 0
    """Objects that do not fit, told of their root table; and records of which nobody can say what they belong to."""

    @property
    def changed(self) -> int:
        """Rows that are not as they were."""
        return self.inserted + self.updated + self.deleted

    def __iadd__(self, other: TableCounts) -> TableCounts:
        self.read += other.read
        self.inserted += other.inserted
        self.updated += other.updated
        self.deleted += other.deleted
        self.set_aside += other.set_aside
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
        is_history: whether the whole history was read, be it complete or not.
    """

    tenant_id: str
    root: RawTable
    read_at: datetime
    complete: Completeness | None = None
    is_history: bool = False

    def run(self, connection: Connection, rows: RowSource) -> dict[str, TableCounts]:
        """Load the rows, in the connection's current transaction.

        Objects of which a record is refused, by whoever makes the rows or by PostgreSQL, are set aside; the others are
        loaded.

        Args:
            connection: not in autocommit mode.
            rows: gives the rows from the first on, without what tells of persons who were redacted, and tells of the
                records that it refuses; it may be called several times.

        Returns:
            What happened, by table.

        Raises:
            TooManyGoneError: a complete read lacks more than one per cent of what is there.
        """
        lock(connection, self.tenant_id, self.root)
        suppressed = load_suppressed(connection, self.tenant_id)  # no redaction comes in between: it takes that lock
        try:
            with connection.transaction():
                return self._run(connection, _Source(rows, suppressed))
        except REFUSALS:
            return self._run(connection, _Source(rows, suppressed, self.root))

    def _run(self, connection: Connection, source: _Source) -> dict[str, TableCounts]:
        if self._is_first(connection):
            try:
                with connection.transaction():
                    return self._copy(connection, source)
            except psycopg.errors.UniqueViolation:
                pass  # an object came twice: the merge sorts that out
        return self._merge(connection, source)

    def mark_deleted(self, connection: Connection, ids: Collection[int]) -> int:
        """Mark roots as gone that Shopify said it deleted, in the connection's current transaction.

        A load of what was read before this moment does not bring them back.

        Returns:
            How many of them were there.
        """
        lock(connection, self.tenant_id, self.root)
        bound = {"tenant": self.tenant_id, "ids": list(ids), "now": datetime.now(UTC)}
        buried = connection.execute(merging.tombstone(self.root), bound).fetchall()
        if buried:
            mark_changed(connection, self.tenant_id, self.root, ids_of(buried))
        forget(connection, self.tenant_id, self.root, ids)
        return len(buried)

    def _is_first(self, connection: Connection) -> bool:
        found = " or ".join(
            f"exists (select from raw.{table.name} where tenant_id = %(tenant)s)" for table in tree(self.root)
        )
        row = connection.execute(f"select {found}", {"tenant": self.tenant_id}).fetchone()
        return row == (False,)

    def _copy(self, connection: Connection, source: _Source) -> dict[str, TableCounts]:
        """Copy the rows into the raw tables themselves."""
        tables = tree(self.root)
        copied, refusals = source.copy(connection, {t.name: _target("raw", t.name, t) for t in tables})
        counts = {name: TableCounts(read=count, inserted=count) for name, count in copied.items()}
        if refusals.count:
            self._drop_from_raw(connection, refusals, tables, counts)
        self._unlist_read(connection, refusals, "raw")
        if copied:
            mark_changed(connection, self.tenant_id, self.root, f"values ({ALL_OBJECTS}::bigint)")
        return counts

    def _drop_from_raw(
        self,
        connection: Connection,
        refusals: Refusals,
        tables: Iterable[RawTable],
        counts: dict[str, TableCounts],
    ) -> None:
        """Take out again, of what was copied into the raw tables, all of the objects that are to be set aside."""
        bound = {"tenant": self.tenant_id}
        set_aside = self._set_aside(connection, refusals, "raw")
        # Without statistics of the rows that have just come, the planner would look for each parent by itself.
        connection.execute("set local enable_nestloop = off")
        for table in tables:
            drop = merging.drop_refused(f"raw.{table.name}") if table is self.root else merging.drop_parentless(table)
            dropped = connection.execute(drop, bound).rowcount
            if table.name in counts:
                counts[table.name].inserted -= dropped
        connection.execute("set local enable_nestloop = on")
        connection.execute("drop table refused")
        counts.setdefault(self.root.name, TableCounts()).set_aside = set_aside

    def _merge(self, connection: Connection, source: _Source) -> dict[str, TableCounts]:
        """Copy the rows into temporary twins, and merge these."""
        tables = tree(self.root)
        connection.execute(merging.CREATE_CHANGED_ROOTS)
        for table in tables:
            connection.execute(merging.create_staged(table))
        targets = {t.name: _target("pg_temp", f"staged_{t.name}", t) for t in tables}
        copied, refusals = source.copy(connection, targets)
        counts = {table.name: TableCounts(read=copied[table.name]) for table in tables}
        if copied or self.complete or refusals.count:
            if self.complete:
                connection.execute(merging.note_seen(self.root))
            if refusals.count:
                counts[self.root.name].set_aside = self._set_aside(connection, refusals, "staged")
                if self.complete:
                    connection.execute(merging.see_refused())
                connection.execute(merging.drop_refused(f"staged_{self.root.name}"), {"tenant": self.tenant_id})
                connection.execute("drop table refused")
            self._unlist_read(connection, refusals, "staged")
            self._drop_repeated_and_stale(connection, tables)
            self._apply(connection, tables, counts, refusals)
            mark_changed(connection, self.tenant_id, self.root, "select distinct id from changed_roots")
            connection.execute("drop table if exists seen")
        connection.execute(merging.drop_temporary(tables))  # the caller may load more in the same transaction
        return counts

    def _set_aside(self, connection: Connection, refusals: Refusals, where: str) -> int:
        """Put what was refused on the list, and into the temporary table `refused`.

        Args:
            connection: in the transaction of the load.
            refusals: what was refused; where it belongs is found out.
            where: `raw` or `staged`, whatever the other rows were copied into.

        Returns:
            How many objects these are, and records that belong to none that is known.
        """
        bound = {"tenant": self.tenant_id, "read_at": self.read_at, "object": self.root.name}
        found: dict[str, int] = {}
        for table in {table.parent for table in tree(self.root) if table.parent not in (None, self.root)}:
            assert table is not None
            query = merging.owners(table, _place(where, table))
            found |= dict(connection.execute(query, {**bound, "ids": list(refusals.within)}).fetchall())
        refusals.resolve(found)
        roots = refusals.roots
        columns = {
            "ids": list(roots),
            "gids": [refused.gid or f"gid://shopify/{KINDS[self.root.name]}/{id_}" for id_, refused in roots.items()],
            "reasons": [refused.reason for refused in roots.values()],
            "updated_at": [refused.updated_at for refused in roots.values()],
            "created_at": [refused.created_at for refused in roots.values()],
            "customer_ids": [refused.customer_id for refused in roots.values()],
        }
        connection.execute(merging.CREATE_REFUSED, columns)
        connection.execute(merging.describe_refused(self.root, _place(where, self.root)), bound)
        connection.execute(merging.list_refused(self.root), bound)
        if refusals.lost:
            lost = {"records": refusals.lost, "reason": refusals.lost_reason}
            connection.execute(merging.LIST_UNIDENTIFIED, {**bound, **lost})
        return len(roots) + refusals.lost

    def _unlist_read(self, connection: Connection, refusals: Refusals, where: str) -> None:
        """Take off the list what was read in a good shape."""
        bound = {"tenant": self.tenant_id, "read_at": self.read_at, "object": self.root.name}
        connection.execute(merging.unlist_read(self.root, _place(where, self.root)), bound)
        if self.is_history and not refusals.lost:
            connection.execute(merging.UNLIST_UNIDENTIFIED, bound)

    def _drop_repeated_and_stale(self, connection: Connection, tables: Iterable[RawTable]) -> None:
        """Leave in the twins one row per object, and only objects that are not older than what is there."""
        for table in tables:
            connection.execute(f"analyze staged_{table.name}")
            connection.execute(merging.drop_repeated(table))
            if table.parent is None:
                connection.execute(merging.drop_stale(table), {"tenant": self.tenant_id})
            else:
                connection.execute(merging.drop_orphans(table))

    def _apply(
        self,
        connection: Connection,
        tables: tuple[RawTable, ...],
        counts: Mapping[str, TableCounts],
        refusals: Refusals,
    ) -> None:
        """Bring the raw tables to what the twins hold; what a lost record may stand for is not missing."""
        bound = {"tenant": self.tenant_id, "read_at": self.read_at}
        for table in tables:
            inserted, updated = _one_row(connection, merging.upsert(table), bound)
            counts[table.name].inserted, counts[table.name].updated = inserted, updated
        for table in reversed(tables):
            if table.parent is not None and not refusals.lost_children:
                (counts[table.name].deleted,) = _one_row(connection, merging.delete_missing(table), bound)
        if self.complete is not None and not refusals.lost_roots:
            counts[self.root.name].deleted = self._tombstone(connection, self.complete)

    def _tombstone(self, connection: Connection, complete: Completeness) -> int:
        bound = {
            "tenant": self.tenant_id,
            "read_at": self.read_at,
            "visible_since": complete.visible_since,
            "visible_until": complete.visible_until,
        }
        missing, live = _one_row(connection, merging.count_missing(self.root), bound)
        check_deletions(self.tenant_id, self.root, missing, live, complete=complete)
        (gone,) = _one_row(connection, merging.tombstone_missing(self.root), bound)
        connection.execute(merging.unlist_missing(self.root), bound)
        return gone


def check_deletions(tenant_id: str, root: RawTable, missing: int, live: int, *, complete: Completeness) -> None:
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
        raise TooManyDeletionsError(
            f"{tenant_id}: {missing:,} of {live:,} {root.name} are no longer at Shopify, more than one per cent; "
            "none of them was marked as gone. If they really are, run it again with --accept-deletions."
        )


def lock(connection: Connection, tenant_id: str, root: RawTable) -> None:
    """Keep others from writing to a tenant's rows of a root table and its children, until the transaction ends.

    Raises:
        TenantRemovedError: the tenant was removed; nothing is to be written.
    """
    lock_against_removal(connection, tenant_id)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{root.name}/{tenant_id}"])


def mark_changed(connection: Connection, tenant_id: str, root: RawTable, ids: str) -> None:
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


@dataclass(frozen=True)
class _Source:
    """The rows of a load.

    Args:
        rows: makes them.
        suppressed: of whom nothing personal is to be kept.
        careful: the root table, where rows that PostgreSQL refuses are to be found out; None: they are errors.
    """

    rows: RowSource
    suppressed: Suppressed
    careful: RawTable | None = None

    def copy(self, connection: Connection, targets: Mapping[str, sql.Composable]) -> tuple[Counter[str], Refusals]:
        """Copy the rows. Returns how many went into each table, and what did not fit."""
        refusals = Refusals()
        refuse = None
        if self.careful is not None:
            tables = {table.name: table for table in tree(self.careful)}

            def refuse(name: str, row: bytes, error: psycopg.Error) -> None:
                refusals.add(_refused(tables[name], row, error))

        return copy_rows(connection, self.rows(self.suppressed, refusals.add), targets, refuse), refusals


def _refused(table: RawTable, row: bytes, error: psycopg.Error) -> Refused:
    """What is known of a row that PostgreSQL refused, from its first columns: tenant, id and parent."""
    _, id_, parent, _ = row.decode().split("\t", 3)
    column = _COLUMN.search(error.diag.context or "")
    reason = f"{column.group(1) if column else 'a value'} is refused by PostgreSQL ({error.sqlstate})"
    if table.parent is None:
        return Refused(reason, root_id=int(id_), is_root=True)
    if table.parent.parent is None:
        return Refused(reason, root_id=int(parent), own_id=id_, is_root=False)
    return Refused(reason, within=parent, is_root=False)


_COLUMN = re.compile(r", column (\w+)")


def _place(where: str, table: RawTable) -> str:
    return f"raw.{table.name}" if where == "raw" else f"staged_{table.name}"


def _target(schema: str, name: str, table: RawTable) -> sql.Composable:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.copied_columns))
    return sql.SQL("{} ({})").format(sql.Identifier(schema, name), columns)


def _one_row(connection: Connection, statement: str, bound: Mapping[str, object]) -> tuple[int, ...]:
    row = connection.execute(statement, bound).fetchone()
    assert row is not None
    return tuple(row)
