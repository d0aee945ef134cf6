"""Tenants without a store behind them."""

from __future__ import annotations

from xeno_pipeline.database.connection import Database


def register(database: Database, *handles: str) -> None:
    """Tenants whose history is in raw, as the registry says."""
    with database.connect() as connection:
        connection.execute(
            """
            insert into ops.tenants (
                tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes, status
            )
            select handle, handle, handle, 'http://x', 'x', 'EUR', 'UTC', 'x', '{}', 'active'
            from unnest(%s::text[]) as handle
            """,
            [list(handles)],
        )
        connection.execute(
            """
            insert into ops.sync_state (tenant_id, stream, history_loaded_at)
            select handle, 'orders', now() from unnest(%s::text[]) as handle
            """,
            [list(handles)],
        )
