"""Webhook events in the inbox: put there as the gateway does, read, and looked at."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from tests.support.installation import Installation, Shop
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction import inbox
from xeno_pipeline.extraction.events import read_events
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.gateway.inbox import Inbox
from xeno_pipeline.shopify.webhooks import Delivery, event_of
from xeno_pipeline.tenants.registry import Tenant

FUTURE = (datetime.now(UTC) + timedelta(minutes=55)).isoformat()
"""Later than any change, and not so late that it could be no time of Shopify's clock."""


def tell(database: Database, shop: Shop, *events: tuple[str, dict[str, Any]]) -> None:
    """Put events of topics and payloads into the inbox, as the gateway does."""

    async def put() -> None:
        async with Inbox(database) as inbox_:
            for topic, payload in events:
                delivery = Delivery(topic, f"{shop.handle}.myshopify.com", str(uuid4()), None, None)
                event = event_of(delivery, orjson.dumps(payload))
                assert event is not None
                await inbox_.put(event)

    asyncio.run(put())


def tell_merge(database: Database, shop: Shop, *, kept: int, deleted: int) -> None:
    """Put the event of two customers becoming one into the inbox."""
    payload = {
        "admin_graphql_api_customer_kept_id": f"gid://shopify/Customer/{kept}",
        "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{deleted}",
        "status": "completed",
    }
    tell(database, shop, ("customers/merge", payload))


def read(installation: Installation, *tenants: Tenant) -> list[StreamResult]:
    return read_events(Syncer(installation.database, installation.ring, installation.spool), tenants)


def reports(installation: Installation, *tenants: Tenant) -> dict[tuple[str, str], StreamReport]:
    """Read due events, none of which may fail."""
    found: dict[tuple[str, str], StreamReport] = {}
    for result in read(installation, *tenants):
        if isinstance(result, StreamFailure):
            raise result.error
        found[result.tenant_id, result.stream] = result
    return found


def states(installation: Installation) -> list[tuple[str, int, str | None]]:
    """Of each event in the order in which they came: what became of it, attempts, error."""
    with installation.database.connect() as connection:
        rows = inbox.list_events(connection, only_dead=False, limit=100)
    return [(row.status, row.attempts, row.error) for row in reversed(rows)]


def make_due(installation: Installation) -> None:
    """Let the pause before the next attempt be over."""
    with installation.database.connect() as connection:
        connection.execute("update ops.webhook_inbox set due_at = now() where due_at > now()")
