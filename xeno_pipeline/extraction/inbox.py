"""The inbox of events, `ops.webhook_inbox`: which are due, and what became of them.

An event is *done* when raw holds what it told of, *in the marts* when a transform took that in, and *dead* when it was
given up. Whoever dies in between leaves it due, so that the next run takes it on from there. One whose object Shopify
does not show asks for nothing more in the end: nobody could do anything about it, so it is counted and not dead.
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
"""Attempts: with their pauses about four hours, as long as Shopify itself repeats a delivery."""

EVENTS_A_TENANT = 2_000
"""Taken by one run, so that no tenant's storm keeps the others waiting."""

_BACKOFF = Backoff(first_seconds=5, longest_seconds=3600)

_WAITS = """
    inbox.in_marts_at is null
    and inbox.dead_at is null
    and inbox.due_at <= now()
    and exists (
        select from ops.tenants
        where tenants.tenant_id = inbox.tenant_id
        and (tenants.status = 'active' or (inbox.stream = 'app' and tenants.status = 'suspended'))
    )
    and (
        inbox.stream = 'app'
        or exists (
            select from ops.sync_state state
            where state.tenant_id = inbox.tenant_id and state.history_loaded_at is not null
            and state.stream = case when inbox.stream in ('carts', 'shop') then 'orders' else inbox.stream end
        )
    )
    and not exists (
        select from ops.webhook_inbox held
        where held.tenant_id = inbox.tenant_id and held.stream = inbox.stream and held.is_held
        and held.in_marts_at is null and held.dead_at is null and held.due_at > now()
    )
    """
"""What is due. A stream whose history is not in yet waits for it: that load is faster into an empty table. What has no
history of its own waits for the orders'; that the app is gone waits for nothing."""


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
    """A due event that tells that a store has uninstalled the app.

    Args:
        happened_at: by Shopify's clock, where it says so.
    """

    id: int
    tenant_id: str
    happened_at: datetime


@dataclass(frozen=True)
class Backlog:
    """What is due.

    Args:
        tenant_ids: the tenants with due events.
        oldest: the oldest due event and how often it was tried; None where nothing is due.
    """

    tenant_ids: Sequence[str]
    oldest: tuple[int, int] | None


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
    """What is due, of active tenants: to be read, or read and not in the marts yet."""
    rows = connection.execute(
        f"""
        select inbox.tenant_id, min(array[inbox.id, inbox.attempts])
        from ops.webhook_inbox inbox where {_WAITS} group by 1 order by 1
        """
    ).fetchall()
    oldest = min((row[1] for row in rows), default=None)
    return Backlog([row[0] for row in rows], (oldest[0], oldest[1]) if oldest else None)


def events_to_read(connection: Connection, tenant_id: str) -> list[PendingEvent]:
    """A tenant's due events that are not done, the oldest first."""
    cursor = connection.cursor(row_factory=class_row(PendingEvent))
    return cursor.execute(
        f"""
        select id, stream, read_gid, deleted_gid, changed_at, payload from ops.webhook_inbox inbox
        where tenant_id = %s and stream <> 'app' and done_at is null and {_WAITS}
        order by id limit {EVENTS_A_TENANT}
        """,
        [tenant_id],
    ).fetchall()


def uninstallations(connection: Connection) -> list[Uninstallation]:
    """The due events that tell that a store has uninstalled the app, the oldest first."""
    cursor = connection.cursor(row_factory=class_row(Uninstallation))
    return cursor.execute(
        f"""
        select id, tenant_id, coalesce(triggered_at, received_at) as happened_at
        from ops.webhook_inbox inbox where stream = 'app' and {_WAITS} order by id
        """
    ).fetchall()


def tenants_to_transform(connection: Connection) -> tuple[list[str], datetime]:
    """The tenants with due events that are done and not in the marts, and the instant at which this is so."""
    rows = connection.execute(
        f"select distinct tenant_id from ops.webhook_inbox inbox where done_at is not null and {_WAITS} order by 1"
    ).fetchall()
    now = connection.execute("select now()").fetchone()
    assert now is not None
    return [row[0] for row in rows], now[0]


def known_deletions(connection: Connection, tenant_id: str, gids: Collection[str]) -> set[str]:
    """Those of the gids that some event, whatever became of it, says are gone."""
    rows = connection.execute(
        "select deleted_gid from ops.webhook_inbox where tenant_id = %s and deleted_gid = any(%s)",
        [tenant_id, list(gids)],
    ).fetchall()
    return {row[0] for row in rows}


def mark_done(connection: Connection, event_ids: Collection[int]) -> None:
    """Note, in the transaction that writes their rows, that raw holds what the events told of."""
    connection.execute(
        """
        update ops.webhook_inbox set done_at = now(), payload = null, error = null, absence = null, is_held = false
        where id = any(%s)
        """,
        [list(event_ids)],
    )


def mark_visible_done(connection: Connection, tenant_id: str, stream: str, table: str) -> set[int]:
    """Note of all pending events of a stream, due or not, what a raw table shows as new as they say.

    Returns:
        Which events these are.
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
    """Note that an event asks for nothing more, of raw or of the marts."""
    connection.execute(
        """
        update ops.webhook_inbox set done_at = now(), in_marts_at = clock_timestamp(), error = null where id = %s
        """,
        [event_id],
    )


def record_failures(connection: Connection, event_ids: Collection[int], error: str, *, is_held: bool = False) -> None:
    """Note that events could not be read; each is tried again after a pause that grows, in the end given up.

    Args:
        connection: a connection.
        event_ids: which.
        error: why; no token and nothing of a person in it.
        is_held: the stream as a whole could not be read, so none of the tenant's events of it is tried meanwhile.
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
    """Note that Shopify showed no such objects. They may be too new, and are looked for again after pauses that grow.

    After the last attempt they count as deleted, and nothing more is asked for: nobody can do anything about it.
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
    """Note that the token cannot see what the events tell of, and so that nothing more is to be done."""
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
    """How many of a tenant's events are settled though raw lacks their objects, by stream and why (`absence`)."""
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
    """Note that a transform took in what was done before an instant."""
    connection.execute(
        """
        update ops.webhook_inbox set in_marts_at = clock_timestamp()
        where tenant_id = any(%s) and done_at <= %s and in_marts_at is null and dead_at is null
        """,
        [list(tenant_ids), done_before],
    )


def record_transform_failure(connection: Connection, tenant_id: str, done_before: datetime, error: str) -> None:
    """Note that a tenant's marts could not be made of what was done before an instant."""
    connection.execute(
        f"""
        update ops.webhook_inbox set {_RETRIED}, error = %(error)s
        where tenant_id = %(tenant_id)s and done_at <= %(done_before)s and in_marts_at is null and dead_at is null
        """,
        {"tenant_id": tenant_id, "done_before": done_before, "error": error},
    )


def list_events(connection: Connection, *, only_dead: bool, limit: int) -> list[EventRow]:
    """The newest events, or of the dead ones."""
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
    """Have events read again from the start: these, or all dead ones where none are given.

    Returns:
        How many.

    Raises:
        UsageError: there is no event of one of the numbers.
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
    """The tenants of whom there are events that came long ago."""
    rows = connection.execute(
        "select distinct tenant_id from ops.webhook_inbox where received_at < now() - %s order by 1", [older_than]
    )
    return [tenant_id for (tenant_id,) in rows]


def purge(connection: Connection, older_than: timedelta, tenant_ids: Collection[str] | None = None) -> int:
    """Forget events that came long ago and are in the marts or dead, or of a tenant that nobody reads any more: should
    it be resumed, a sync finds what they told of.

    Args:
        connection: to the database.
        older_than: how long ago.
        tenant_ids: of whom; None: of all.

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
