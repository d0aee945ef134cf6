"""What is moved with a tenant, and what is not, table by table.

Every table with a tenant_id is in one of these lists, or is made by dbt from raw alone; a test compares them with the
database. So a new table of ops makes whoever adds it decide. New raw tables are moved without further ado.
"""

from __future__ import annotations

from dataclasses import dataclass

from xeno_pipeline.raw.tables import RAW_TABLES


@dataclass(frozen=True)
class MovedTable:
    """A table whose rows of a tenant are in its archive.

    Args:
        name: with its schema.
        numbering: the column that every installation numbers by itself, and that is left behind.
        order: of the rows, where it matters: what is numbered again keeps its order.
        instant: the column that says when a row came, of tables that are written while their tenant is moving.
        arrival: what an insert of the rows ends with: which of them are new, or what becomes of those that are there.
    """

    name: str
    numbering: str | None = None
    order: str | None = None
    instant: str | None = None
    arrival: str = ""


HISTORIES = ("marts.rfm_history", "marts.segment_history")
"""Marts of what was observed on past days, which no rebuild can make."""

_COPIED = (
    *(f"raw.{table.name}" for table in RAW_TABLES),
    *HISTORIES,
    "ops.sync_state",
    "ops.last_changes",
    "ops.set_aside",
    "ops.suppressed",
    "ops.reconciliations",
    "ops.api_usage",
    "ops.webhook_subscriptions",
)

INBOX = MovedTable(
    "ops.webhook_inbox",
    numbering="id",
    order="id",
    instant="received_at",
    arrival="on conflict (tenant_id, webhook_id) do nothing",
)
PRIVACY_REQUESTS = MovedTable(
    "ops.privacy_requests",
    numbering="id",
    order="id",
    instant="received_at",
    # A tenant that comes back finds its requests without the customers: they were anonymised with its removal.
    arrival="""
        on conflict (shop_domain, webhook_id) do update
        set tenant_id = excluded.tenant_id, customer_id = excluded.customer_id, order_ids = excluded.order_ids,
            outcome = excluded.outcome, done_at = excluded.done_at, error = excluded.error, due_at = excluded.due_at,
            attempts = excluded.attempts
        where privacy_requests.customer_id is null and excluded.customer_id is not null
        """,
)
AUDIT_LOG = MovedTable(
    "ops.audit_log",
    numbering="id",
    order="id",
    instant="happened_at",
    arrival="""
        where not exists (
            select from ops.audit_log known
            where known.tenant_id = %(tenant_id)s
            and (known.happened_at, known.action, known.reason) = (arrived.happened_at, arrived.action, arrived.reason)
        )
        """,
)
DOMAINS = MovedTable(
    "ops.tenant_domains",
    arrival="""
        on conflict (domain) do update set tenant_id = excluded.tenant_id, added_at = excluded.added_at
        where excluded.added_at > tenant_domains.added_at
        """,
)
SEGMENTS = MovedTable(
    "ops.segments",
    # Removed ones come first: a tenant may have a hundred others, and then none may be added.
    order="removed_at is null, segment_id",
)

LATE = (INBOX, PRIVACY_REQUESTS, AUDIT_LOG)
"""What goes on to be written while a tenant is moving, and is exported once more in the end."""

MOVED = (*map(MovedTable, _COPIED), DOMAINS, SEGMENTS, *LATE)

DESCRIBED = {
    "ops.tenants": "as `tenant`",
    "ops.tenant_credentials": "as `credentials`, sealed with the archive's key",
    "ops.tenant_apps": "as `own_app`, sealed with the archive's key",
    "ops.bi_roles": "as `bi_roles`, the verifiers of passwords sealed with the archive's key",
    "ops.access_grants": "as `access`, with the people and keys that have them: hashes of secrets, no secrets",
}
"""Tables with a row or a few of a tenant, which the archive's manifest holds, and how."""

STAYING = {
    "ops.changes": "The first transform makes all marts anew, whatever changed.",
    "ops.transforms": "Transforms under way, of this installation's own.",
    "ops.tenant_marts": "What marts are brought to; those of the new installation are yet to be made.",
    "ops.syncs": "Runs of this installation's Dagster. The import requests a sync of its own, of all streams.",
    "ops.sync_progress": "Belongs to ops.syncs.",
    "ops.run_failures": "Names runs of this installation's Dagster.",
    "ops.alerts": "What is wrong is found again by the checks of the new installation.",
    "ops.dbt_test_failures": "The tests run again, on the marts of the new installation.",
    "ops.oauth_states": "Connections that a browser has begun, at this gateway; they last minutes.",
    "intermediate.prediction_fits": "A function of the orders and the week: fitted again with the first sync.",
    "intermediate.prediction_curves": "Belongs to prediction_fits.",
    "intermediate.prediction_backtests": "Belongs to prediction_fits.",
}
"""Tables of which nothing is moved, and why. Nor is anything of the schema `stale`: all marts are made anew."""
