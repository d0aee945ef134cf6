"""The inbox of events, `ops.webhook_inbox`: which are due (the view `ops.due_events`), and what became of them.

An event is *done* when raw holds what it announced, *in the marts* when a transform has processed that, and *dead* when
its last attempt failed. A run that is killed in between leaves it due, and the next run continues from there. An event
whose object Shopify never shows is settled in the end and counted (`absence`): no operator could act on it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.retry_queue import Backoff
from xeno_pipeline.errors import UsageError

DEAD_AFTER = 12
"""Attempts. With their pauses they last about four hours, as long as Shopify itself repeats a delivery."""

EVENTS_A_TENANT = 2_000
"""The most events of a tenant in one run, so that one tenant's burst does not delay the others."""

_BACKOFF = Backoff(first_seconds=5, longest_seconds=3600)


@dataclass(frozen=True)
class PendingEvent:
    """An event that is due, and not done yet; see `shopify.webhooks.Event`."""

    id: int
    stream: str
    read_gid: str | None
    deleted_gid: str | None
    changed_at: datetime | None
    payload: dict[str, Any] | None


@dataclass(frozen=True)
class Uninstallation:
    """A due event that says that a store has uninstalled the app.

    Args:
        happened_at: by Shopify's clock if it says so, else when the event was received.
    """

    id: int
    tenant_id: str
    happened_at: datetime


Attempted = tuple[int, int]
"""An event's id, and how often it was tried."""


@dataclass(frozen=True)
class Backlog:
    """What is due.

    Args:
        tenant_ids: the tenants with due events.
        oldest: the oldest due event; None where nothing is due.
    """

    tenant_ids: Sequence[str]
    oldest: Attempted | None


@dataclass(frozen=True)
class EventRow:
    """An event as `xeno webhooks list` shows it."""

    id: int
    tenant_id: str
    topic: str
    gid: str | None
    received_at: datetime
    attempts: int
    status: str
    error: str | None


def backlog(connection: Connection) -> Backlog:
    """What is due: events to be read, and events that were read but are not in the marts yet."""
    due = oldest_due(connection)
    return Backlog(list(due), min(due.values(), default=None))


def oldest_due(connection: Connection) -> dict[str, Attempted]:
    """The oldest due event of each tenant that has some, by tenant."""
    query = "select tenant_id, min(array[id, attempts]) from ops.due_events group by 1 order by 1"
    return {tenant_id: (oldest[0], oldest[1]) for tenant_id, oldest in connection.execute(query)}


def events_to_read(connection: Connection, tenant_id: str) -> list[PendingEvent]:
    """A tenant's due events that are not done, the oldest first."""
    cursor = connection.cursor(row_factory=class_row(PendingEvent))
    return cursor.execute(
        f"""
        select id, stream, read_gid, deleted_gid, changed_at, payload from ops.due_events
        where tenant_id = %s and stream <> 'app' and done_at is null
        order by id limit {EVENTS_A_TENANT}
        """,
        [tenant_id],
    ).fetchall()


def uninstallations(connection: Connection) -> list[Uninstallation]:
    """The due events of stores that have uninstalled the app, the oldest first."""
    cursor = connection.cursor(row_factory=class_row(Uninstallation))
    return cursor.execute(
        """
        select id, tenant_id, coalesce(triggered_at, received_at) as happened_at
        from ops.due_events where stream = 'app' order by id
        """
    ).fetchall()


def tenants_to_transform(connection: Connection) -> tuple[list[str], datetime]:
    """The tenants with due events that are done and not in the marts, and the instant of the query."""
    rows = connection.execute(
        "select distinct tenant_id from ops.due_events where done_at is not null order by 1"
    ).fetchall()
    now = connection.execute("select now()").fetchone()
    assert now is not None
    return [row[0] for row in rows], now[0]


def known_deletions(connection: Connection, tenant_id: str, gids: Collection[str]) -> set[str]:
    """Those of the gids that an event, whatever became of it, says are deleted."""
    rows = connection.execute(
        "select deleted_gid from ops.webhook_inbox where tenant_id = %s and deleted_gid = any(%s)",
        [tenant_id, list(gids)],
    ).fetchall()
    return {row[0] for row in rows}


def mark_done(connection: Connection, event_ids: Collection[int]) -> None:
    """Mark events as done, in the transaction that writes their rows."""
    connection.execute(
        """
        update ops.webhook_inbox set done_at = now(), payload = null, error = null, absence = null, is_held = false
        where id = any(%s)
        """,
        [list(event_ids)],
    )


def mark_visible_done(connection: Connection, tenant_id: str, stream: str, table: str) -> set[int]:
    """Mark as done all pending events of a stream, due or not, whose objects are in raw as new as they say.

    Returns:
        The ids of these events.
    """
    rows = connection.execute(
        f"""
        update ops.webhook_inbox inbox set done_at = now(), error = null, absence = null, is_held = false
        from raw.{table} shown
        where inbox.tenant_id = %(tenant_id)s and inbox.stream = %(stream)s
        and inbox.done_at is null and inbox.in_marts_at is null and inbox.dead_at is null
        and inbox.deleted_gid is null
        and shown.tenant_id = inbox.tenant_id and shown.id = split_part(inbox.read_gid, '/', 5)::bigint
        and shown.updated_at >= inbox.changed_at
        returning inbox.id
        """,
        {"tenant_id": tenant_id, "stream": stream},
    ).fetchall()
    return {row[0] for row in rows}


def mark_settled(connection: Connection, event_id: int) -> None:
    """Mark an event as done and in the marts: it requires nothing more."""
    connection.execute(
        """
        update ops.webhook_inbox set done_at = now(), in_marts_at = clock_timestamp(), error = null where id = %s
        """,
        [event_id],
    )


def record_failures(connection: Connection, event_ids: Collection[int], error: str, *, is_held: bool = False) -> None:
    """Record that events could not be read. Each is retried after a growing pause, and dead after the last attempt.

    Args:
        error: the reason, without a token or personal data.
        is_held: the stream as a whole could not be read, so the tenant's other events of it wait as well.
    """
    connection.execute(
        f"""
        update ops.webhook_inbox
        set {_RETRIED}, error = %(error)s, absence = null, is_held = %(is_held)s
        where id = any(%(ids)s)
        """,
        {"error": error, "is_held": is_held, "ids": list(event_ids)},
    )


def mark_not_found(connection: Connection, event_ids: Collection[int]) -> None:
    """Record that Shopify showed no such objects. They may be too new, so they are retried after growing pauses.

    After the last attempt they count as deleted, and the events are settled.
    """
    connection.execute(
        f"""
        update ops.webhook_inbox
        set {_BACKOFF.assignments}, absence = 'not found', is_held = false,
            error = 'Shopify does not show it: it is too new to be found, or was deleted.',
            done_at = case when attempts + 1 >= {DEAD_AFTER} then now() end,
            in_marts_at = case when attempts + 1 >= {DEAD_AFTER} then clock_timestamp() end
        where id = any(%s)
        """,
        [list(event_ids)],
    )


def mark_not_visible(connection: Connection, event_ids: Collection[int]) -> None:
    """Settle events whose objects the token cannot see."""
    connection.execute(
        """
        update ops.webhook_inbox
        set done_at = now(), in_marts_at = clock_timestamp(), absence = 'not visible', is_held = false,
            error = 'It is older than 60 days, and the token lacks the access scope read_all_orders.'
        where id = any(%s)
        """,
        [list(event_ids)],
    )


def count_absent(connection: Connection, tenant_id: str) -> dict[tuple[str, str], int]:
    """How many of a tenant's events are settled although raw lacks their objects, by stream and reason (`absence`)."""
    rows = connection.execute(
        """
        select stream, absence, count(*) from ops.webhook_inbox
        where tenant_id = %s and absence is not null and in_marts_at is not null
        group by 1, 2 order by 1, 2
        """,
        [tenant_id],
    )
    return {(stream, absence): count for stream, absence, count in rows}


def mark_in_marts(connection: Connection, tenant_ids: Collection[str], done_before: datetime) -> None:
    """Mark as in the marts what was done before an instant: a transform has processed it."""
    connection.execute(
        """
        update ops.webhook_inbox set in_marts_at = clock_timestamp()
        where tenant_id = any(%s) and done_at <= %s and in_marts_at is null and dead_at is null
        """,
        [list(tenant_ids), done_before],
    )


def record_transform_failure(connection: Connection, tenant_id: str, done_before: datetime, error: str) -> None:
    """Record that a tenant's transform failed for what was done before an instant."""
    connection.execute(
        f"""
        update ops.webhook_inbox set {_RETRIED}, error = %(error)s
        where tenant_id = %(tenant_id)s and done_at <= %(done_before)s and in_marts_at is null and dead_at is null
        """,
        {"tenant_id": tenant_id, "done_before": done_before, "error": error},
    )


def list_events(connection: Connection, *, only_dead: bool, limit: int) -> list[EventRow]:
    """The newest events, or the newest dead ones."""
    cursor = connection.cursor(row_factory=class_row(EventRow))
    return cursor.execute(
        """
        select id, tenant_id, topic, coalesce(read_gid, deleted_gid) as gid, received_at, attempts, error,
            case
                when dead_at is not null then 'dead'
                when in_marts_at is not null then coalesce(absence, 'in the marts')
                when done_at is not null then 'in raw'
                when attempts > 0 then 'to be tried again'
                else 'waiting'
            end as status
        from ops.webhook_inbox where dead_at is not null or not %s order by id desc limit %s
        """,
        [only_dead, limit],
    ).fetchall()


def replay(connection: Connection, event_ids: Collection[int]) -> int:
    """Reset events so that they are read again: these, or all dead ones where none are given.

    Returns:
        How many.

    Raises:
        UsageError: one of the ids belongs to no event.
    """
    known = {
        row[0] for row in connection.execute("select id from ops.webhook_inbox where id = any(%s)", [list(event_ids)])
    }
    if missing := sorted(set(event_ids) - known):
        raise UsageError(f"There is no webhook {missing[0]}: `xeno webhooks list` shows them.")
    return connection.execute(
        """
        update ops.webhook_inbox
        set attempts = 0, due_at = now(), error = null, absence = null, is_held = false,
            done_at = null, in_marts_at = null, dead_at = null
        where id = any(%(ids)s) or (cardinality(%(ids)s::bigint[]) = 0 and dead_at is not null)
        """,
        {"ids": list(event_ids)},
    ).rowcount


def tenants_with_events_before(connection: Connection, older_than: timedelta) -> list[str]:
    """The tenants with events older than a duration."""
    rows = connection.execute(
        "select distinct tenant_id from ops.webhook_inbox where received_at < now() - %s order by 1", [older_than]
    )
    return [tenant_id for (tenant_id,) in rows]


def purge(connection: Connection, older_than: timedelta, tenant_ids: Collection[str] | None = None) -> int:
    """Delete old events that are in the marts or dead, or belong to an inactive tenant.

    Should that tenant be resumed, a sync finds what they announced.

    Args:
        tenant_ids: whose events; None: all tenants'.

    Returns:
        How many.
    """
    return connection.execute(
        """
        delete from ops.webhook_inbox inbox
        using ops.tenants
        where tenants.tenant_id = inbox.tenant_id and inbox.received_at < now() - %(older_than)s
        and (inbox.in_marts_at is not null or inbox.dead_at is not null or tenants.status <> 'active')
        and (%(tenant_ids)s::text[] is null or inbox.tenant_id = any(%(tenant_ids)s))
        """,
        {"older_than": older_than, "tenant_ids": None if tenant_ids is None else list(tenant_ids)},
    ).rowcount


_RETRIED = f"{_BACKOFF.assignments}, dead_at = case when attempts + 1 >= {DEAD_AFTER} then now() end"
