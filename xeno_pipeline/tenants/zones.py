"""The time zone of a tenant's shop, which PostgreSQL and Python must both know.

Each has its own time zone database, and one may be older than the other.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import psycopg

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError


class UnknownZoneError(XenoError):
    """A shop's time zone is unknown, so that its days cannot be determined."""


def zone_of(tenant_id: str, name: str) -> ZoneInfo:
    """The time zone of a tenant, by its IANA name.

    Raises:
        UnknownZoneError: Python does not know it.
    """
    try:
        return ZoneInfo(name)
    except (OSError, LookupError, ValueError):  # a directory's name, an unknown name, an invalid path
        raise _unknown(tenant_id, name, "Python does not know", "upgrade its package tzdata") from None


def check_zone(connection: Connection, tenant_id: str, name: str) -> None:
    """Check that both PostgreSQL and Python know a tenant's time zone.

    Raises:
        UnknownZoneError: one of them does not.
    """
    try:
        with connection.transaction():
            connection.execute("select now() at time zone %s", [name])
    except psycopg.errors.InvalidParameterValue:
        raise _unknown(tenant_id, name, "the database does not know", "upgrade the database") from None
    zone_of(tenant_id, name)


def _unknown(tenant_id: str, name: str, problem: str, remedy: str) -> UnknownZoneError:
    return UnknownZoneError(
        f"{tenant_id}: its time zone is {name!r}, which {problem}; set another in the store's admin "
        f"(Settings, General), or {remedy}."
    )
