"""Syncs of tenants, from their request to their end: `ops.syncs`.

The API and the gateway add requests, a sensor starts runs for those that are due, and the runs begin and finish them.
A run that nobody requested here, such as a schedule's, records its syncs as they begin to read something.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.retry_queue import Backoff
from xeno_pipeline.database.tenant_lock import lock_against_removal
from xeno_pipeline.errors import UsageError, XenoError

_BACKOFF = Backoff(first_seconds=60, longest_seconds=3600)

_MOST_ATTEMPTS = 3
"""So many runs of a request may die before they begin it; first reads are retried for ever."""

_REASON_LENGTH = 2000

_CLOSED = """
    state = case when kind = 'first_read' then 'queued' else %(state)s end,
    finished_at = case when kind <> 'first_read' then clock_timestamp() end,
    due_at = ops.next_attempt(greatest(attempts - 1, 0), 60, 3600)
    """
"""The assignments that end a sync without success: a first read is queued again, others are final."""


class SyncConflictError(XenoError):
    """Another sync of the tenant is queued or running, which does less than the requested one.

    Args:
        tenant_id: whose it is.
        sync_id: the other one.
    """

    def __init__(self, tenant_id: str, sync_id: int) -> None:
        super().__init__(
            f"{tenant_id}: sync {sync_id} is queued or running, and reads less than this one would: "
            "request it again when that one has finished."
        )
        self.sync_id = sync_id


@dataclass(frozen=True)
class DueSync:
    """A requested sync that waits for a run."""

    sync_id: int
    tenant_id: str
    is_full: bool
    streams: tuple[str, ...]
    attempts: int


def request(connection: Connection, tenant_id: str, *, is_full: bool, streams: Sequence[str], by: str) -> int:
    """Request a sync. While one is queued or running that reads as much, that one is the answer.

    Args:
        connection: the owner's, or one of `xeno_serving` that is unlocked for the scope `sync`.
        is_full: read the history again.
        streams: their names; all where empty.
        by: who asks, such as `key nightly`.

    Returns:
        The id of the sync.

    Raises:
        SyncConflictError: one is queued or running that reads less.
        UsageError: there is no such tenant, or the request has a shape that no stream has.
    """
    wanted = {"tenant": tenant_id, "full": is_full, "streams": list(streams), "by": by}
    try:
        while True:
            row = connection.execute(
                """
                insert into ops.syncs (tenant_id, is_full, streams, requested_by)
                values (%(tenant)s, %(full)s, %(streams)s::text[], %(by)s)
                on conflict do nothing returning sync_id
                """,
                wanted,
            ).fetchone()
            if row is not None:
                return int(row[0])
            row = connection.execute(
                """
                select
                    sync_id,
                    (is_full or not %(full)s)
                    and (streams = '{}' or (%(streams)s::text[] <> '{}' and streams @> %(streams)s::text[]))
                from ops.syncs
                where tenant_id = %(tenant)s and kind <> 'run' and state in ('queued', 'running')
                """,
                wanted,
            ).fetchone()
            if row is None:
                continue  # it has just finished
            if not row[1]:
                raise SyncConflictError(tenant_id, row[0])
            return int(row[0])
    except psycopg.errors.ForeignKeyViolation:
        raise UsageError(f"There is no tenant {tenant_id!r}; `xeno tenant list` names them.") from None
    except psycopg.errors.CheckViolation:
        raise UsageError(f"{tenant_id}: the names of the streams, or of who requests the sync, are too long.") from None


def request_first_read(connection: Connection, tenant_id: str) -> None:
    """Request that the history of a store that was just connected be read; it is retried until it succeeds.

    A requested sync that is queued becomes that one; a running one is retried if it fails.
    """
    connection.execute(
        """
        insert into ops.syncs (tenant_id, kind, requested_by) values (%s, 'first_read', 'connection')
        on conflict (tenant_id) where kind <> 'run' and state in ('queued', 'running') do update
        set kind = excluded.kind, requested_at = excluded.requested_at, attempts = 0, due_at = excluded.due_at,
            streams = case syncs.state when 'queued' then '{}' else syncs.streams end
        """,
        [tenant_id],
    )


def request_after_subscription(connection: Connection) -> None:
    """Request syncs of the stores whose webhooks were subscribed since their last sync began to read.

    What changed in a store between the two is in no webhook, and was read by no sync. A sync that is queued will read
    it; one that is running may be past it, so another is requested once that has ended. One that fails is not requested
    again: it is recorded as failed, and the hourly sync reads the same.
    """
    connection.execute(
        """
        insert into ops.syncs (tenant_id, requested_by)
        select tenant_id, 'new webhook subscriptions'
        from ops.webhook_subscriptions subscribed
        join ops.tenants using (tenant_id)
        where tenants.status = 'active'
        and exists (
            select from ops.sync_state state
            where state.tenant_id = subscribed.tenant_id and history_loaded_at is not null
            and asked_at < renewed_at
        )
        and not exists (
            select from ops.syncs
            where syncs.tenant_id = subscribed.tenant_id and kind <> 'run' and streams = '{}'
            and requested_at > renewed_at
        )
        order by tenant_id
        on conflict do nothing
        """
    )


def due(connection: Connection) -> list[DueSync]:
    """The syncs that are due, of active tenants, the oldest first."""
    rows = connection.execute(
        """
        select sync_id, tenant_id, is_full, streams, attempts
        from ops.syncs join ops.tenants using (tenant_id)
        where syncs.kind <> 'run' and syncs.state = 'queued' and syncs.due_at <= clock_timestamp()
        and tenants.status = 'active'
        order by sync_id
        """
    )
    return [DueSync(sync_id, tenant, is_full, tuple(names), tried) for sync_id, tenant, is_full, names, tried in rows]


def count_attempt(connection: Connection, sync_ids: Collection[int]) -> None:
    """Count that a run was requested for each sync: until that begins it, it is due again after a growing pause."""
    connection.execute(f"update ops.syncs set {_BACKOFF.assignments} where sync_id = any(%s)", [list(sync_ids)])


def refuse_inactive(connection: Connection) -> None:
    """Refuse the requested syncs of tenants that are not active; first reads wait until the store is resumed."""
    connection.execute(
        """
        update ops.syncs
        set state = 'refused', finished_at = clock_timestamp(),
            reason = 'The store is ' || tenants.status || ': resume it, then request the sync again.'
        from ops.tenants
        where tenants.tenant_id = syncs.tenant_id and tenants.status <> 'active'
        and syncs.kind = 'request' and syncs.state = 'queued'
        """
    )


def give_up(connection: Connection, sync_ids: Collection[int]) -> set[int]:
    """Fail those of some due requests whose runs keep dying before they begin, and return their ids."""
    rows = connection.execute(
        """
        update ops.syncs
        set state = 'failed', finished_at = clock_timestamp(),
            reason = attempts || ' runs died before they began it; their logs in Dagster have the reasons.'
        where kind = 'request' and state = 'queued' and attempts >= %s and sync_id = any(%s)
        returning sync_id
        """,
        [_MOST_ATTEMPTS, list(sync_ids)],
    )
    return {sync_id for (sync_id,) in rows}


def begin(
    connection: Connection, run_id: str, tenant_ids: Collection[str], *, is_full: bool, streams: Sequence[str]
) -> dict[str, int]:
    """Mark the queued syncs of tenants as running, as far as a run does all that they ask for.

    Args:
        run_id: the run's.
        tenant_ids: its tenants.
        is_full: whether it reads histories again.
        streams: which it reads; empty: all.

    Returns:
        The ids of the syncs by tenant.
    """
    rows = connection.execute(
        """
        with begun as (
            update ops.syncs
            set state = 'running', run_id = %(run)s, started_at = clock_timestamp(), reason = null
            where kind <> 'run' and state = 'queued' and tenant_id = any(%(tenants)s)
            and (not is_full or %(full)s)
            and (%(streams)s::text[] = '{}' or (streams <> '{}' and streams <@ %(streams)s::text[]))
            returning tenant_id, sync_id
        ), forgotten as (
            delete from ops.sync_progress where sync_id in (select sync_id from begun)
        )
        select tenant_id, sync_id from begun
        """,
        {"run": run_id, "tenants": list(tenant_ids), "full": is_full, "streams": list(streams)},
    )
    return dict(rows.fetchall())


def record_unrequested(
    connection: Connection, run_id: str, tenant_id: str, *, is_full: bool, streams: Sequence[str], by: str
) -> int:
    """Record a running sync that was not requested here, in the caller's transaction, and return its id.

    A run that syncs a tenant again continues the sync that it has finished.

    Raises:
        TenantRemovedError: the tenant was removed.
    """
    lock_against_removal(connection, tenant_id)
    row = connection.execute(
        """
        insert into ops.syncs (tenant_id, kind, is_full, streams, requested_by, state, run_id, started_at)
        values (%s, 'run', %s, %s, left(%s, 200), 'running', %s, clock_timestamp())
        on conflict (run_id, tenant_id) do update
        set state = excluded.state, finished_at = null, reason = null
        returning sync_id
        """,
        [tenant_id, is_full, list(streams), by, run_id],
    ).fetchone()
    assert row is not None
    return int(row[0])


def running_tenants(connection: Connection, run_id: str) -> list[str]:
    """The tenants whose syncs a run has begun and not finished."""
    query = "select tenant_id from ops.syncs where run_id = %s and state = 'running' order by tenant_id"
    return [tenant_id for (tenant_id,) in connection.execute(query, [run_id])]


def finish(connection: Connection, run_id: str, tenant_ids: Collection[str], reasons: Mapping[str, str]) -> None:
    """Mark the running syncs of a run as finished; first reads that did not succeed are queued again.

    Args:
        run_id: the run's.
        tenant_ids: those of its tenants whose syncs are finished.
        reasons: why it failed, by tenant; without personal data.
    """
    parameters = {"run": run_id, "tenants": list(tenant_ids)}
    connection.execute(
        f"""
        update ops.syncs
        set {_CLOSED}, reason = 'The store is ' || tenants.status || ': resume it, then request the sync again.'
        from ops.tenants
        where tenants.tenant_id = syncs.tenant_id and tenants.status <> 'active'
        and run_id = %(run)s and state = 'running' and syncs.tenant_id = any(%(tenants)s)
        """,
        parameters | {"state": "refused"},
    )
    connection.execute(
        f"""
        update ops.syncs set {_CLOSED}, reason = failed.reason
        from unnest(%(failed)s::text[], %(reasons)s::text[]) as failed (tenant_id, reason)
        where failed.tenant_id = syncs.tenant_id
        and run_id = %(run)s and state = 'running' and syncs.tenant_id = any(%(tenants)s)
        """,
        parameters
        | {
            "state": "failed",
            "failed": list(reasons),
            "reasons": [reason[:_REASON_LENGTH] for reason in reasons.values()],
        },
    )
    connection.execute(
        """
        update ops.syncs set state = 'succeeded', finished_at = clock_timestamp()
        where run_id = %(run)s and state = 'running' and tenant_id = any(%(tenants)s)
        """,
        parameters,
    )


def running_runs(connection: Connection) -> set[str]:
    """The runs that have begun syncs and not finished them."""
    return {run_id for (run_id,) in connection.execute("select run_id from ops.syncs where state = 'running'")}


def close_dead(connection: Connection, run_ids: Collection[str]) -> None:
    """Mark the syncs as failed that runs left behind; first reads are queued again.

    Args:
        run_ids: runs that have ended.
    """
    connection.execute(
        f"""
        update ops.syncs
        set {_CLOSED},
            reason = 'The run ' || left(run_id, 8) || ' ended before the sync did; its log in Dagster has the reason.'
        where state = 'running' and run_id = any(%(runs)s)
        """,
        {"state": "failed", "runs": list(run_ids)},
    )


def purge(connection: Connection, older_than: timedelta) -> None:
    """Delete the syncs that finished longer ago, with their progress."""
    connection.execute("delete from ops.syncs where finished_at < clock_timestamp() - %s", [older_than])
