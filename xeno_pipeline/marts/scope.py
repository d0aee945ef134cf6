"""The scope of a transform: its tenants, what "today" is for each, and the changes that it takes in.

A transform claims the changes of its tenants when it begins, and deletes them when the marts are made. An object that
changes again during the transform loses its claim, and one whose transform died stays for the next: nothing is lost.
The same holds for the keys of what they make stale (schema `stale`), which dbt marks as it proceeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID, uuid4

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.tenant_lock import TRANSFORM_LOCK_KEY
from xeno_pipeline.predictions.refit import mark_late_changes
from xeno_pipeline.tenants.zones import check_zone

_LOCKS = f"select pg_advisory_lock({TRANSFORM_LOCK_KEY}) from unnest(%s::text[]) tenant_id"
"""Taken in the order of the names, so that two transforms cannot deadlock; a removal waits for it too."""

_IS_OUTDATED = """
    (marts.project_version, marts.iana_timezone, marts.currency)
    is distinct from (%(version)s, tenants.iana_timezone, tenants.currency)
    """
"""Whether all of a tenant's marts have to be rebuilt: the models, its time zone or its currency changed."""


@dataclass(frozen=True)
class Scope:
    """One transform.

    Args:
        transform_id: names it in the database.
        tenant_ids: the tenants whose marts it makes.
    """

    transform_id: UUID
    tenant_ids: tuple[str, ...]


def due_tenants(
    connection: Connection, tenant_ids: Sequence[str], *, as_of: date | None, project_version: str
) -> list[str]:
    """Those of the tenants whose marts are not up to date.

    Rows changed; or a transform stopped halfway; or a new day has begun in the shop's time zone, or another one is
    requested; or all of a tenant's marts have to be rebuilt.
    """
    rows = connection.execute(
        """
        select tenants.tenant_id
        from ops.tenants
        left join ops.tenant_marts marts on marts.tenant_id = tenants.tenant_id
        where tenants.tenant_id = any(%(tenant_ids)s)
        and (
            marts.as_of_date is distinct from
                coalesce(%(as_of)s::date, ops.local_time(now(), tenants.iana_timezone)::date)
            or (%(as_of)s::date is null and not marts.has_history)
            or """
        + _IS_OUTDATED
        + """
            or exists (select from ops.changes where changes.tenant_id = tenants.tenant_id)
            or """
        + " or ".join(
            f"exists (select from {table} keys where keys.tenant_id = tenants.tenant_id)"
            for table in _stale_tables(connection)
        )
        + """
        )
        order by tenants.tenant_id
        """,
        {"tenant_ids": list(tenant_ids), "as_of": as_of, "version": project_version},
    ).fetchall()
    return [row[0] for row in rows]


def tenants_of_a_new_day(connection: Connection) -> dict[str, date]:
    """The active tenants for which a new day has begun since their marts were made, and that day."""
    rows = connection.execute(
        """
        select tenant_id, today
        from ops.tenants
        join ops.tenant_marts using (tenant_id)
        cross join lateral (select ops.local_time(now(), tenants.iana_timezone)::date as today) clock
        where status = 'active' and as_of_date < today
        order by tenant_id
        """
    ).fetchall()
    return dict(rows)


def sweep_dead_transforms(connection: Connection) -> None:
    """Delete transforms that never ended; the next one claims what they had claimed."""
    connection.execute("delete from ops.transforms where started_at < now() - interval '2 days'")


@contextmanager
def open_scope(
    database: Database, tenant_ids: Sequence[str], *, as_of: date | None, project_version: str, rebuild: bool = False
) -> Iterator[Scope]:
    """A transform of the tenants for the length of a `with`; others of the same tenants wait, and so do removals.

    A tenant that is removed by now is no part of it.

    Args:
        database: where it is known.
        tenant_ids: the tenants whose marts it makes.
        as_of: "today"; None for today in each shop's time zone.
        project_version: that of the models.
        rebuild: compare all rows of their marts, whatever changed.

    Raises:
        UnknownZoneError: the days of one of them cannot be counted.
    """
    wanted = Scope(uuid4(), tuple(sorted(tenant_ids)))
    with database.connect(autocommit=True) as connection:
        connection.execute(_LOCKS, [list(wanted.tenant_ids)])
        try:
            with connection.transaction():
                scope = replace(wanted, tenant_ids=_claim(connection, wanted, as_of, project_version, rebuild))
        except psycopg.errors.InvalidParameterValue:
            _check_zones(connection, wanted)
            raise
        try:
            yield scope
        finally:
            connection.execute("delete from ops.transforms where transform_id = %s", [scope.transform_id])


def complete_transform(database: Database, scope: Scope, project_version: str) -> list[str]:
    """Record that the scope's marts are up to date, and delete the changes that they include.

    Returns:
        The tenants that had no marts before.
    """
    with database.connect() as connection:
        made = connection.execute(
            """
            insert into ops.tenant_marts
                (tenant_id, as_of_date, transformed_at, project_version, iana_timezone, currency, has_history)
            select tenant_id, as_of_date, now(), %(version)s, iana_timezone, currency, writes_history
            from ops.transforms
            where transform_id = %(transform_id)s
            on conflict (tenant_id) do update
            set as_of_date = excluded.as_of_date, transformed_at = excluded.transformed_at,
                project_version = excluded.project_version, iana_timezone = excluded.iana_timezone,
                currency = excluded.currency, has_history = excluded.has_history
            returning tenant_id, xmax = 0
            """,
            {"transform_id": scope.transform_id, "version": project_version},
        ).fetchall()
        connection.execute("delete from ops.changes where transform_id = %s", [scope.transform_id])
        mark_late_changes(connection, scope.tenant_ids)
        for table in _stale_tables(connection):
            connection.execute(f"delete from {table} where tenant_id = any(%s)", [list(scope.tenant_ids)])
    return [tenant_id for tenant_id, is_new in made if is_new]


def _stale_tables(connection: Connection) -> list[str]:
    """The tables of stale keys, one a kind; the dbt project's variable `stale_keys` declares them."""
    tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'stale' order by 1"
    return [table for (table,) in connection.execute(tables)]


def _check_zones(connection: Connection, scope: Scope) -> None:
    zones = "select tenant_id, iana_timezone from ops.tenants where tenant_id = any(%s) order by 1"
    for tenant_id, zone in connection.execute(zones, [list(scope.tenant_ids)]).fetchall():
        check_zone(connection, tenant_id, zone)


def _claim(
    connection: Connection, scope: Scope, as_of: date | None, project_version: str, rebuild: bool
) -> tuple[str, ...]:
    """Write down the scope; what a dead transform of these tenants left behind is swept away.

    Returns:
        Those of the tenants who are there.
    """
    bound = {
        "transform_id": scope.transform_id,
        "tenant_ids": list(scope.tenant_ids),
        "as_of": as_of,
        "version": project_version,
        "rebuild": rebuild,
    }
    connection.execute("delete from ops.transforms where tenant_id = any(%(tenant_ids)s)", bound)
    claimed = connection.execute(
        """
        insert into ops.transforms
            (transform_id, tenant_id, as_of_date, iana_timezone, currency, is_whole, writes_history)
        select
            %(transform_id)s,
            tenants.tenant_id,
            coalesce(%(as_of)s::date, (now() at time zone tenants.iana_timezone)::date),
            tenants.iana_timezone,
            tenants.currency,
            %(rebuild)s or """
        + _IS_OUTDATED
        + """,
            %(as_of)s::date is null
        from ops.tenants
        left join ops.tenant_marts marts on marts.tenant_id = tenants.tenant_id
        where tenants.tenant_id = any(%(tenant_ids)s) and tenants.status <> 'removed'
        returning tenant_id
        """,
        bound,
    ).fetchall()
    connection.execute(
        "update ops.changes set transform_id = %(transform_id)s where tenant_id = any(%(tenant_ids)s)", bound
    )
    return tuple(sorted(tenant_id for (tenant_id,) in claimed))
