"""Loading rows into the raw tables: streamed, idempotent, newest wins, all or nothing.

If a tenant has no rows yet, rows are copied straight into the raw tables. Otherwise they are copied into temporary
tables (staged) and merged from there, table by table. Everything happens in the caller's transaction, so that a cursor
written in it moves with the rows. A lock on (tenant, root table) serialises the writing of two loads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.tenant_lock import lock_against_removal
from xeno_pipeline.raw import merge as merging
from xeno_pipeline.raw.changes import ALL_OBJECTS, ids_of, mark_changed
from xeno_pipeline.raw.completeness import Completeness, check_deletions
from xeno_pipeline.raw.copy import REFUSALS, copy_batches
from xeno_pipeline.raw.counts import TableCounts
from xeno_pipeline.raw.refused import Refusals, Refused
from xeno_pipeline.raw.rows import BatchSource
from xeno_pipeline.raw.set_aside import forget
from xeno_pipeline.raw.suppression import Suppressed, load_suppressed
from xeno_pipeline.raw.tables import KINDS, RawTable, tree
from xeno_pipeline.shopify.ids import gid


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

    def run(self, connection: Connection, rows: BatchSource) -> dict[str, TableCounts]:
        """Load the rows, in the connection's current transaction.

        Objects of which a record is refused, by whoever makes the rows or by PostgreSQL, are set aside; the others are
        loaded.

        Args:
            connection: not in autocommit mode.
            rows: gives the rows from the first on, without the data of persons who were redacted, and reports the
                records that it refuses; it may be called several times.

        Returns:
            What happened, by table.

        Raises:
            TooManyDeletionsError: a complete read lacks more than one per cent of what is there.
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
                pass  # an object came twice: the merge handles that
        return self._merge(connection, source)

    def mark_deleted(self, connection: Connection, ids: Collection[int]) -> int:
        """Mark roots as deleted that Shopify announced as deleted, in the connection's current transaction.

        A load of what was read before this moment does not bring them back.

        Returns:
            How many of them were live.
        """
        lock(connection, self.tenant_id, self.root)
        bound = {"tenant": self.tenant_id, "ids": list(ids), "now": datetime.now(UTC)}
        deleted = connection.execute(merging.tombstone(self.root), bound).fetchall()
        if deleted:
            mark_changed(connection, self.tenant_id, self.root, ids_of(deleted))
        forget(connection, self.tenant_id, self.root, ids)
        return len(deleted)

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
            self._delete_refused_from_raw(connection, refusals, tables, counts)
        self._clear_read(connection, refusals, "raw")
        if copied:
            mark_changed(connection, self.tenant_id, self.root, f"values ({ALL_OBJECTS}::bigint)")
        return counts

    def _delete_refused_from_raw(
        self,
        connection: Connection,
        refusals: Refusals,
        tables: Iterable[RawTable],
        counts: dict[str, TableCounts],
    ) -> None:
        """Delete the rows of objects to be set aside from the raw tables that they were copied into."""
        bound = {"tenant": self.tenant_id}
        set_aside = self._set_aside(connection, refusals, "raw")
        # Without statistics of the new rows, the planner would look up each parent in turn.
        connection.execute("set local enable_nestloop = off")
        for table in tables:
            is_root = table is self.root
            delete = merging.delete_refused(f"raw.{table.name}") if is_root else merging.delete_parentless(table)
            deleted = connection.execute(delete, bound).rowcount
            if table.name in counts:
                counts[table.name].inserted -= deleted
        connection.execute("set local enable_nestloop = on")
        connection.execute("drop table refused")
        counts.setdefault(self.root.name, TableCounts()).set_aside = set_aside

    def _merge(self, connection: Connection, source: _Source) -> dict[str, TableCounts]:
        """Copy the rows into temporary tables, and merge these."""
        tables = tree(self.root)
        connection.execute(merging.CREATE_CHANGED_ROOTS)
        for table in tables:
            connection.execute(merging.create_staged(table))
        targets = {t.name: _target("pg_temp", f"staged_{t.name}", t) for t in tables}
        copied, refusals = source.copy(connection, targets)
        counts = {table.name: TableCounts(read=copied[table.name]) for table in tables}
        if copied or self.complete or refusals.count:
            if self.complete:
                connection.execute(merging.create_seen(self.root))
            if refusals.count:
                counts[self.root.name].set_aside = self._set_aside(connection, refusals, "staged")
                if self.complete:
                    connection.execute(merging.add_refused_to_seen())
                connection.execute(merging.delete_refused(f"staged_{self.root.name}"), {"tenant": self.tenant_id})
                connection.execute("drop table refused")
            self._clear_read(connection, refusals, "staged")
            self._delete_repeated_and_stale(connection, tables)
            self._apply(connection, tables, counts, refusals)
            mark_changed(connection, self.tenant_id, self.root, "select distinct id from changed_roots")
            connection.execute("drop table if exists seen")
        connection.execute(merging.drop_temporary(tables))  # the caller may load more in the same transaction
        return counts

    def _set_aside(self, connection: Connection, refusals: Refusals, where: str) -> int:
        """Record what was refused in `ops.set_aside`, and in the temporary table `refused`.

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
            "gids": [refused.gid or gid(KINDS[self.root.name], id_) for id_, refused in roots.items()],
            "reasons": [refused.reason for refused in roots.values()],
            "updated_at": [refused.updated_at for refused in roots.values()],
            "created_at": [refused.created_at for refused in roots.values()],
            "customer_ids": [refused.customer_id for refused in roots.values()],
        }
        connection.execute(merging.CREATE_REFUSED, columns)
        connection.execute(merging.describe_refused(self.root, _place(where, self.root)), bound)
        connection.execute(merging.insert_set_aside(self.root), bound)
        if refusals.lost:
            lost = {"records": refusals.lost, "reason": refusals.lost_reason}
            connection.execute(merging.INSERT_UNIDENTIFIED, {**bound, **lost})
        return len(roots) + refusals.lost

    def _clear_read(self, connection: Connection, refusals: Refusals, where: str) -> None:
        """Delete from `ops.set_aside` what was read and fits."""
        bound = {"tenant": self.tenant_id, "read_at": self.read_at, "object": self.root.name}
        connection.execute(merging.clear_read(self.root, _place(where, self.root)), bound)
        if self.is_history and not refusals.lost:
            connection.execute(merging.CLEAR_UNIDENTIFIED, bound)

    def _delete_repeated_and_stale(self, connection: Connection, tables: Iterable[RawTable]) -> None:
        """Leave one staged row per object, and no object that is older than the one in raw."""
        for table in tables:
            connection.execute(f"analyze staged_{table.name}")
            connection.execute(merging.delete_repeated(table))
            if table.parent is None:
                connection.execute(merging.delete_stale(table), {"tenant": self.tenant_id})
            else:
                connection.execute(merging.delete_staged_parentless(table))

    def _apply(
        self,
        connection: Connection,
        tables: tuple[RawTable, ...],
        counts: Mapping[str, TableCounts],
        refusals: Refusals,
    ) -> None:
        """Merge the staged rows into the raw tables. If records without an id were read, none counts as absent."""
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
        (deleted,) = _one_row(connection, merging.tombstone_missing(self.root), bound)
        connection.execute(merging.clear_missing(self.root), bound)
        return deleted


def lock(connection: Connection, tenant_id: str, root: RawTable) -> None:
    """Keep others from writing to a tenant's rows of a root table and its children, until the transaction ends.

    Raises:
        TenantRemovedError: the tenant was removed; nothing is to be written.
    """
    lock_against_removal(connection, tenant_id)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{root.name}/{tenant_id}"])


@dataclass(frozen=True)
class _Source:
    """The rows of a load.

    Args:
        rows: makes them.
        suppressed: the persons whose data is not to be kept.
        careful: the root table, where rows that PostgreSQL refuses are to be found out; None: they are errors.
    """

    rows: BatchSource
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

        with closing(self.rows(self.suppressed, refusals.add)) as batches:
            return copy_batches(connection, batches, targets, refuse), refusals


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
