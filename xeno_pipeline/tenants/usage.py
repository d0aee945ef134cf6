"""The API points that each tenant uses by day, and its monthly limit, at which loading histories pauses.

Shopify restores a store's points continuously and all apps share them: the limit keeps the pipeline's share within what
the merchant agreed to. Days and months are in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.tenants import registry


class LimitReachedError(XenoError):
    """A tenant has reached its monthly limit of points."""


@dataclass(frozen=True)
class TenantUsage:
    """The points that a tenant has used.

    Args:
        today: since midnight.
        month: since the first of the month.
        monthly_limit: at which loading histories pauses; None: no limit.
    """

    today: float = 0.0
    month: float = 0.0
    monthly_limit: int | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether loading histories pauses until the next month."""
        return self.monthly_limit is not None and self.month >= self.monthly_limit


def record(connection: Connection, tenant_id: str, points: float, requests: int) -> None:
    """Add to a tenant's usage of today, unless it was removed."""
    connection.execute(
        """
        insert into ops.api_usage (tenant_id, day, points, requests)
        select tenant_id, (now() at time zone 'utc')::date, %(points)s, %(requests)s
        from ops.tenants where tenant_id = %(tenant_id)s and status <> 'removed'
        on conflict (tenant_id, day) do update
        set points = api_usage.points + excluded.points, requests = api_usage.requests + excluded.requests
        """,
        {"tenant_id": tenant_id, "points": points, "requests": requests},
    )


def by_tenant(connection: Connection, tenant_id: str | None = None) -> dict[str, TenantUsage]:
    """The usage of each tenant, or of one; removed ones are included."""
    rows = connection.execute(
        """
        select
            tenant_id,
            coalesce(sum(points) filter (where day = today), 0),
            coalesce(sum(points) filter (where day >= date_trunc('month', today::timestamp)), 0),
            monthly_points
        from ops.tenants
        cross join (select (now() at time zone 'utc')::date as today) clock
        left join ops.api_usage using (tenant_id)
        where tenant_id = %(tenant_id)s or %(tenant_id)s::text is null
        group by tenant_id
        """,
        {"tenant_id": tenant_id},
    ).fetchall()
    return {row[0]: TenantUsage(*row[1:]) for row in rows}


def check_history_allowed(connection: Connection, tenant_id: str) -> None:
    """Check that a tenant's history may be loaded.

    Raises:
        LimitReachedError: its points of this month are used up.
    """
    usage = by_tenant(connection, tenant_id)[tenant_id]
    if usage.is_exhausted:
        raise LimitReachedError(
            f"{tenant_id}: {usage.month:,.0f} of its {usage.monthly_limit:,} API points of this month (UTC) are used, "
            f"so loading its history pauses until the next one; changes and webhooks are still loaded. "
            f"`xeno tenant limit {tenant_id} POINTS` raises the limit."
        )


def purge(connection: Connection) -> None:
    """Delete usage of more than 13 months ago; until then a month can be compared with the same one a year before."""
    connection.execute("delete from ops.api_usage where day < (now() at time zone 'utc')::date - interval '13 months'")


def set_limit(connection: Connection, tenant_id: str, points: int | None) -> None:
    """Set a tenant's monthly limit of points; None: no limit.

    Raises:
        UnknownTenantError: there is no such tenant.
    """
    registry.get(connection, tenant_id)
    connection.execute("update ops.tenants set monthly_points = %s where tenant_id = %s", [points, tenant_id])
