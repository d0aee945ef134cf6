"""Exporting a tenant: it is held still, read from one snapshot, and written to an archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import BinaryIO, Literal

from psycopg import IsolationLevel, sql

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import newest_version
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.moving import described
from xeno_pipeline.moving.archive import ArchiveWriter, RowCounter
from xeno_pipeline.moving.inventory import INBOX, LATE, MOVED, PRIVACY_REQUESTS, MovedTable
from xeno_pipeline.moving.manifest import ArchivedTable, Manifest
from xeno_pipeline.tenants import audit, registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.grants import wait_for_renewal

_MARGIN = timedelta(minutes=10)
"""What is exported once more before the last export: a row's own instant is from before its commit."""


class NotHeldStillError(XenoError):
    """The tenant was active again before its archive was whole."""


@dataclass(frozen=True)
class Departure:
    """A tenant that is held still.

    Args:
        began_at: rows that came since are in no archive.
        status: the tenant's before it began to move.
    """

    tenant_id: str
    began_at: datetime
    status: Literal["active", "suspended"]


@contextmanager
def hold_still(database: Database, handle: str) -> Iterator[Departure]:
    """Let nothing of a tenant change but its inbox, its privacy requests and its audit log, from now on.

    It is `moving`: not synced, not transformed, its token not renewed; BI tools and insights go on to read it. A
    suspended tenant stays suspended. Where the `with` fails, the tenant is as it was.

    Raises:
        UnknownTenantError: there is none of that handle, or it was removed in between.
        NotHeldStillError: it was resumed in between.
    """
    with database.connect() as connection:
        wait_for_renewal(connection, handle)
        former = registry.get(connection, handle, for_update=True).status
        if former == "active":
            registry.set_status(connection, handle, "moving")
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
    departure = Departure(handle, row[0], "suspended" if former == "suspended" else "active")
    try:
        yield departure
        _check_held_still(database, handle)
    except BaseException:
        with database.connect() as connection:
            if former == "active" and registry.find(connection, handle) is not None:
                registry.set_status(connection, handle, former)
        raise
    with database.connect() as connection:
        connection.execute("update ops.tenants set exported_at = %s where tenant_id = %s", [departure.began_at, handle])
        audit.record(connection, handle, "exported", "`xeno tenant export`")


def _check_held_still(database: Database, handle: str) -> None:
    with database.connect() as connection:
        if registry.get(connection, handle).status == "active":
            raise NotHeldStillError(
                f"{handle} was resumed while it was exported, so the archive is of no use: export it again."
            )


def export_tenant(
    database: Database,
    ring: KeyRing,
    departure: Departure,
    file: BinaryIO,
    archive_ring: KeyRing,
    on_rows: RowCounter,
    app_client_id: str | None = None,
) -> Manifest:
    """Write everything of a tenant that cannot be made again.

    Args:
        ring: the installation's keys.
        file: open for writing, empty.
        archive_ring: of the archive's key.
        app_client_id: of the installation's app.

    Returns:
        What the archive says of itself.

    Raises:
        CredentialError: a secret cannot be decrypted.
    """
    with _snapshot(database) as connection, ArchiveWriter(file) as writer:
        tables = [_write(connection, writer, departure, table, on_rows) for table in MOVED]
        manifest = _manifest(connection, departure, "tenant", tables).model_copy(
            update={
                "registration": described.registration(connection, departure.tenant_id, departure.status),
                "credentials": described.credentials(connection, ring, archive_ring, departure.tenant_id),
                "own_app": described.own_app(connection, ring, archive_ring, departure.tenant_id),
                "bi_roles": described.bi_roles(connection, archive_ring, departure.tenant_id),
                "access": described.access(connection, departure.tenant_id),
                "app_client_id": app_client_id,
            }
        )
        writer.finish(manifest, archive_ring)
    return manifest


def export_rest(
    database: Database, departure: Departure, file: BinaryIO, archive_ring: KeyRing, on_rows: RowCounter
) -> Manifest:
    """Write what came to a tenant since it was exported: webhooks, privacy requests, entries of the audit log.

    Raises:
        UsageError: it was not exported.
    """
    with _snapshot(database) as connection, ArchiveWriter(file) as writer:
        exported_at = _exported_at(connection, departure.tenant_id)
        if exported_at is None:
            raise UsageError(
                f"{departure.tenant_id} was not exported, so there is no rest: export it without --rest first."
            )
        since = exported_at - _MARGIN
        tables = [_write(connection, writer, departure, table, on_rows, since) for table in LATE]
        manifest = _manifest(connection, departure, "rest", tables)
        writer.finish(manifest, archive_ring)
    return manifest


def count_unexported(connection: Connection, handle: str) -> int:
    """How many webhooks and privacy requests came to a tenant since it was exported; 0 if it was not."""
    exported_at = _exported_at(connection, handle)
    if exported_at is None:
        return 0
    row = connection.execute(
        f"""
        select sum(came) from (
            select count(*) as came from {INBOX.name} where tenant_id = %(handle)s and received_at > %(exported_at)s
            union all
            select count(*) from {PRIVACY_REQUESTS.name} where tenant_id = %(handle)s and received_at > %(exported_at)s
        ) counts
        """,
        {"handle": handle, "exported_at": exported_at},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _exported_at(connection: Connection, handle: str) -> datetime | None:
    row = connection.execute("select exported_at from ops.tenants where tenant_id = %s", [handle]).fetchone()
    return row[0] if row else None


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    """A connection that sees the database as it is now, until the end, and writes nothing."""
    with database.connect() as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _manifest(
    connection: Connection, departure: Departure, kind: Literal["tenant", "rest"], tables: list[ArchivedTable]
) -> Manifest:
    tenant = registry.get(connection, departure.tenant_id)
    return Manifest(
        kind=kind,
        product=version("xeno-pipeline"),
        schema_version=newest_version(),
        exported_at=departure.began_at,
        tenant_id=tenant.tenant_id,
        shop_gid=tenant.shop_gid,
        tables=tuple(tables),
    )


def _write(
    connection: Connection,
    writer: ArchiveWriter,
    departure: Departure,
    table: MovedTable,
    on_rows: RowCounter,
    since: datetime | None = None,
) -> ArchivedTable:
    """Write a tenant's rows of a table; only those that came since an instant, if there is one."""
    columns = described.moved_columns(connection, table)
    query = sql.SQL("select {} from {} where tenant_id = {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(*table.name.split(".")),
        sql.Literal(departure.tenant_id),
    )
    if since is not None:
        assert table.instant is not None
        query += sql.SQL(" and {} >= {}").format(sql.Identifier(table.instant), sql.Literal(since))
    if table.order is not None:
        query += sql.SQL(f" order by {table.order}")
    copy_out = sql.SQL("copy ({}) to stdout with (format text, encoding 'UTF8')").format(query)
    with connection.cursor() as cursor, cursor.copy(copy_out) as copy:
        return writer.write_table(table.name, columns, copy, on_rows)
