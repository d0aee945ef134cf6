"""The API points that tenants use, by day, and the monthly limit at which a tenant's histories wait.

Shopify gives each store its points anew all the time, whoever uses them: a limit keeps what this pipeline takes of them
within what a merchant agreed to. Days and months are UTC's.
"""

from __future__ import annotations

from dataclasses import dataclass

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.tenants import registry


class LimitReachedError(XenoError):
    """A tenant has used the points that it may use in a month."""


@dataclass(frozen=True)
class Usage:
    """The points that a tenant has used.

    Args:
        today: since midnight.
        month: since the first of the month.
        monthly_limit: at how many a month histories wait; None: at none.
    """

    today: float = 0.0
    month: float = 0.0
    monthly_limit: int | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether histories wait for the next month."""
        return self.monthly_limit is not None and self.month >= self.monthly_limit


def record(connection: Connection, tenant_id: str, points: float, requests: int) -> None:
    """Add to what a tenant has used today; of one that is removed by now, nothing is kept."""
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


def by_tenant(connection: Connection, tenant_id: str | None = None) -> dict[str, Usage]:
    """What each tenant (or one of them) has used, removed ones included."""
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
    return {row[0]: Usage(*row[1:]) for row in rows}


def refuse_history(connection: Connection, tenant_id: str) -> None:
    """Do nothing as long as a tenant's history may be read.

    Raises:
        LimitReachedError: its points of this month are used up.
    """
    usage = by_tenant(connection, tenant_id)[tenant_id]
    if usage.is_exhausted:
        raise LimitReachedError(
            f"{tenant_id}: {usage.month:,.0f} of its {usage.monthly_limit:,} API points of this month (UTC) are used, "
            f"so its history waits for the next one; changes and webhooks are read on. `xeno tenant limit {tenant_id} "
            "POINTS` raises the limit."
        )


def purge(connection: Connection) -> None:
    """Delete what is known of days more than 13 months ago: a month is compared with that of the year before."""
    connection.execute("delete from ops.api_usage where day < (now() at time zone 'utc')::date - interval '13 months'")


def set_limit(connection: Connection, tenant_id: str, points: int | None) -> None:
    """Set how many points a month a tenant may use before its histories wait; None: as many as it likes.

    Raises:
        UnknownTenantError: there is no such tenant.
    """
    registry.get(connection, tenant_id)
    connection.execute("update ops.tenants set monthly_points = %s where tenant_id = %s", [points, tenant_id])
