"""Importing a tenant from an archive: all of it in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from psycopg import sql

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.migrate import newest_version
from xeno_pipeline.database.roles import explain_refusal, prepare_groups
from xeno_pipeline.database.tenant_lock import lock_for_removal
from xeno_pipeline.errors import XenoError
from xeno_pipeline.moving import described, settling
from xeno_pipeline.moving.archive import ArchiveReader, RowCounter
from xeno_pipeline.moving.inventory import LATE, MOVED, PRIVACY_REQUESTS, SEGMENTS, MovedTable
from xeno_pipeline.moving.manifest import ArchivedTable, Manifest
from xeno_pipeline.tenants import audit, registry, syncs
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.registry import Tenant

_BY_NAME = {table.name: table for table in MOVED}


class OtherVersionError(XenoError):
    """The archive is of another version than the database."""


class OtherTenantError(XenoError):
    """The archive is of another shop than the tenant here."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Args:
        notes: what is not as it was, and what to do about it.
        rows: how many there are now that were not.
    """

    tenant: Tenant
    rows: int
    notes: tuple[str, ...] = ()


def import_archive(
    database: Database, ring: KeyRing, archive: ArchiveReader, archive_ring: KeyRing, on_rows: RowCounter
) -> Imported:
    """Load an archive: register its tenant; or, of a rest, add what came to a tenant that is here already.

    The whole file is compared with its manifest before anything is written.

    Args:
        database: migrated, with the relations of the marts.
        ring: the installation's keys.
        archive_ring: of the archive's key.

    Raises:
        OtherVersionError, DamagedArchiveError: the archive cannot be loaded.
        TenantExistsError: the tenant is registered here already.
        UnknownTenantError, OtherTenantError: a rest is of a tenant that is not here.
        RolesNotPermittedError: the owner may not create the roles of its BI tools.
    """
    manifest = archive.manifest
    _check_version(manifest)
    with database.connect() as connection:
        if manifest.kind == "rest":
            _check_known(connection, manifest)
        else:
            _check_new(connection, manifest)
        _check_columns(connection, manifest)
    archive.verify(on_rows)
    if manifest.kind == "rest":
        return _import_rest(database, archive, on_rows)
    if manifest.bi_roles:
        with database.connect(autocommit=True) as connection, explain_refusal(connection):
            prepare_groups(connection)
    return _import_tenant(database, ring, archive, archive_ring, on_rows)


def _import_tenant(
    database: Database, ring: KeyRing, archive: ArchiveReader, archive_ring: KeyRing, on_rows: RowCounter
) -> Imported:
    manifest = archive.manifest
    with database.connect() as connection:
        lock_for_removal(connection, manifest.tenant_id)  # a second import of the same waits, and is refused
        tenant = _check_new(connection, manifest)
        # What needs no registration comes first: the registry is locked as briefly as can be.
        for table in manifest.tables:
            if table.name.startswith("ops."):
                _stage(connection, archive, table, on_rows)
            else:
                _copy(connection, archive, table, on_rows)
        registry.add(connection, tenant)
        settling.complete_registration(connection, manifest)
        for table in manifest.tables:
            if table.name.startswith("ops."):
                _admit(connection, manifest, table)
        settling.restore_segments(connection, tenant.tenant_id)
        settling.forget_export_files(connection, tenant.tenant_id)
        settling.store_secrets(connection, ring, archive_ring, manifest)
        notes = [
            *settling.grant_access(connection, manifest),
            *settling.restore_bi_roles(connection, archive_ring, manifest),
        ]
        if tenant.status == "active":
            syncs.request_first_read(connection, tenant.tenant_id)
        audit.record(connection, tenant.tenant_id, "imported", f"exported at {manifest.exported_at:%Y-%m-%d %H:%M}")
    return Imported(tenant, sum(table.rows for table in manifest.tables), tuple(notes))


def _import_rest(database: Database, archive: ArchiveReader, on_rows: RowCounter) -> Imported:
    manifest = archive.manifest
    with database.connect() as connection:
        tenant = _check_known(connection, manifest)
        rows = 0
        for table in manifest.tables:
            _stage(connection, archive, table, on_rows)
            if table.name == PRIVACY_REQUESTS.name:
                settling.reopen_redactions(connection, _staged(table))
            rows += _admit(connection, manifest, table)
        settling.forget_export_files(connection, tenant.tenant_id)
        audit.record(
            connection, tenant.tenant_id, "rest imported", f"exported at {manifest.exported_at:%Y-%m-%d %H:%M}"
        )
    return Imported(tenant, rows)


def _check_version(manifest: Manifest) -> None:
    if manifest.schema_version != newest_version():
        raise OtherVersionError(
            f"The archive of {manifest.tenant_id} is of schema version {manifest.schema_version} (xeno-pipeline "
            f"{manifest.product}), and this installation of {newest_version()}: bring both installations to the same "
            "version, and export the tenant again."
        )


def _check_new(connection: Connection, manifest: Manifest) -> Tenant:
    """The tenant that is to be registered.

    Raises:
        TenantExistsError: it is already.
        UnusableFactsError: its time zone is unknown here.
    """
    assert manifest.registration is not None, "an archive of everything has it"
    tenant = manifest.registration.tenant(manifest.tenant_id, manifest.shop_gid)
    registry.check_not_registered(connection, tenant.tenant_id, tenant.shop_gid)
    registry.check_facts(connection, tenant)
    return tenant


def _check_known(connection: Connection, manifest: Manifest) -> Tenant:
    tenant = registry.get(connection, manifest.tenant_id)
    if tenant.shop_gid != manifest.shop_gid:
        raise OtherTenantError(
            f"{tenant.tenant_id}: the archive is of another shop ({manifest.shop_gid}) than the tenant of that handle "
            f"here ({tenant.shop_gid}); nothing was imported."
        )
    return tenant


def _check_columns(connection: Connection, manifest: Manifest) -> None:
    """See that the tables of the archive are those that this version moves, with their columns.

    Raises:
        OtherVersionError: they are not.
    """
    expected = LATE if manifest.kind == "rest" else MOVED
    found = {table.name: set(table.columns) for table in manifest.tables}
    differing = found.keys() ^ {table.name for table in expected}
    differing |= {
        table.name
        for table in expected
        if table.name in found and found[table.name] != set(described.moved_columns(connection, table))
    }
    if differing:
        raise OtherVersionError(
            f"The archive of {manifest.tenant_id} has other columns than this installation in {min(differing)}: bring "
            "both installations to the same version (`xeno db migrate`), and export the tenant again."
        )


def _copy(connection: Connection, archive: ArchiveReader, table: ArchivedTable, on_rows: RowCounter) -> None:
    """Copy rows into their table, as the tenant's."""
    columns = ("tenant_id", *table.columns)
    _copy_in(connection, _identifier(table), columns, _as_rows_of(archive, table, on_rows))


def _stage(connection: Connection, archive: ArchiveReader, table: ArchivedTable, on_rows: RowCounter) -> None:
    """Copy rows into a temporary table, from which they are admitted."""
    connection.execute(
        sql.SQL("create temporary table {} on commit drop as select {} from {} with no data").format(
            _staged(table), _list(table.columns), _identifier(table)
        )
    )
    _copy_in(connection, _staged(table), table.columns, _counted(archive, table, on_rows))


def _admit(connection: Connection, manifest: Manifest, table: ArchivedTable) -> int:
    """Insert staged rows as the tenant's; return how many were new."""
    moved: MovedTable = _BY_NAME[table.name]
    statement = sql.SQL("insert into {} (tenant_id, {}) {} select %(tenant_id)s, {} from {} arrived {}").format(
        _identifier(table),
        _list(table.columns),
        sql.SQL("overriding system value" if moved is SEGMENTS else ""),
        _list(table.columns),
        _staged(table),
        sql.SQL(moved.arrival),
    )
    return connection.execute(statement, {"tenant_id": manifest.tenant_id}).rowcount


def _copy_in(connection: Connection, target: sql.Identifier, columns: Iterable[str], chunks: Iterable[bytes]) -> None:
    statement = sql.SQL("copy {} ({}) from stdin with (format text, encoding 'UTF8')").format(target, _list(columns))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)


def _as_rows_of(archive: ArchiveReader, table: ArchivedTable, on_rows: RowCounter) -> Iterator[bytes]:
    """The rows with the tenant before each: within a row, COPY's text format has no line ends."""
    prefix = f"{archive.manifest.tenant_id}\t".encode()
    for chunk in _counted(archive, table, on_rows):
        yield prefix + chunk[:-1].replace(b"\n", b"\n" + prefix) + b"\n"


def _counted(archive: ArchiveReader, table: ArchivedTable, on_rows: RowCounter) -> Iterator[bytes]:
    rows = 0
    for chunk in archive.chunks(table):
        yield chunk
        rows += chunk.count(b"\n")
        on_rows(table.name, rows, table.rows)


def _identifier(table: ArchivedTable) -> sql.Identifier:
    return sql.Identifier(*table.name.split("."))


def _staged(table: ArchivedTable) -> sql.Identifier:
    return sql.Identifier(f"arrived_{table.name.partition('.')[2]}")


def _list(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
