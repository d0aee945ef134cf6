"""Alerts: one message when a problem appears, however often it is found, and one when it is resolved.

Open alerts are rows of `ops.alerts`. Their messages are queued in the same transaction, one for each channel, and
retried until they are delivered, so that a crash loses none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import psycopg
from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.retry_queue import Backoff
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.monitoring.channels import Channel, Message, NotDeliveredError
from xeno_pipeline.monitoring.checks import Finding
from xeno_pipeline.tenants.bisection import bisect

_IS_OPEN = "recovered_at is null and quiet_at is null"

_RECOVERS_AFTER = "10 minutes"
"""Without being found; a problem that comes and goes within that time is one alert."""

_BACKOFF = Backoff(first_seconds=30, longest_seconds=900)
_GIVEN_UP_AFTER = "3 days"
_KEPT_FOR = "30 days"

_TENANTS_SHOWN = 5
"""For each problem; `xeno alerts list` shows all."""

_MESSAGES_PER_DELIVERY = 20


@dataclass(frozen=True)
class Alert:
    """A problem that was found; the comments on `ops.alerts` describe the columns."""

    kind: str
    subject: str
    tenant_id: str
    message: str
    command: str
    since: datetime
    times: int

    def __str__(self) -> str:
        tenant = f"{self.tenant_id}: " if self.tenant_id else ""
        return f"{tenant}{self.message.rstrip('.')} (since {self.since:%Y-%m-%d %H:%M %Z}). Try: {self.command}"


_COLUMNS = "kind, subject, tenant_id, message, command, since, times"


def record_findings(connection: Connection, findings: Iterable[Finding], at: datetime) -> None:
    """Open an alert for each finding, or update the one that is open.

    Where one cannot be recorded for its tenant, an alert of no tenant says so.

    Args:
        at: when they were found; alerts that were found again later are left alone.
    """
    recorded = list(findings)
    try:
        _record(connection, recorded, at)
    except psycopg.Error:
        if connection.closed:
            raise
        for finding in recorded:
            try:
                _record(connection, [finding], at)
            except psycopg.Error as error:
                _record(connection, [_not_recorded(finding, error)], at)


def _not_recorded(finding: Finding, error: psycopg.Error) -> Finding:
    tenant = f"{finding.tenant_id}: " if finding.tenant_id else ""
    message = f"{tenant}{finding.message.rstrip('.')}; the alert could not be recorded: {safe_message(error)}"
    return Finding(finding.check, f"{finding.subject} of {finding.tenant_id}", None, message, finding.command)


def _record(connection: Connection, findings: Sequence[Finding], at: datetime) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.alerts as known (kind, subject, tenant_id, message, command, since, last_at)
            values (
                %(check)s, %(subject)s, coalesce(%(tenant_id)s, ''), %(message)s, %(command)s,
                coalesce(%(since)s::timestamptz, %(at)s), %(at)s
            )
            on conflict (kind, subject, tenant_id) where recovered_at is null do update
            set message = excluded.message, command = excluded.command, last_at = excluded.last_at,
                times = known.times + 1, quiet_at = null
            where known.last_at < excluded.last_at
            """,
            [{**vars(finding), "at": at} for finding in findings],
        )


def mark_resolved(
    connection: Connection,
    at: datetime,
    *,
    kinds: Collection[str],
    subject: str | None = None,
    tenant_ids: Collection[str] | None = None,
    excluded: Collection[str] = (),
) -> dict[str, str]:
    """Mark open alerts as resolved unless they were found at that time or later.

    Args:
        kinds: alerts of these kinds.
        subject: only those about this subject.
        tenant_ids: only those of these tenants; '' stands for alerts of no tenant.
        excluded: tenants for which it is not known whether the problem is resolved.

    Returns:
        The reason for each tenant whose alerts could not be updated.
    """
    condition = f"""
        {_IS_OPEN} and last_at < %(at)s
        and kind = any(%(kinds)s)
        and (%(subject)s::text is null or subject = %(subject)s)
        and (%(only)s::text[] is null or tenant_id = any(%(only)s))
        and tenant_id <> all(%(excluded)s)
        """
    only = None if tenant_ids is None else list(tenant_ids)
    bound = {"at": at, "kinds": list(kinds), "subject": subject, "only": only, "excluded": list(excluded)}
    return _update(connection, "quiet_at = %(at)s", condition, bound)[1]


def resolve_inactive_tenants(connection: Connection) -> dict[str, str]:
    """Mark the alerts of tenants that were suspended or removed as resolved.

    Returns:
        The reason for each tenant whose alerts could not be updated.
    """
    condition = f"""
        {_IS_OPEN} and tenant_id <> ''
        and tenant_id not in (select tenant_id from ops.tenants where status = 'active')
        """
    return _update(connection, "quiet_at = now()", condition, {})[1]


def queue_messages(connection: Connection, channels: Sequence[Channel]) -> dict[str, str]:
    """Queue a message for each channel about alerts that are new, and alerts that have recovered.

    Returns:
        The reason for each tenant whose alerts could not be updated.
    """
    raised, failures = _update(connection, "raised_at = now()", "raised_at is null", {})
    is_over = f"recovered_at is null and raised_at is not null and quiet_at <= now() - interval '{_RECOVERS_AFTER}'"
    recovered, further = _update(connection, "recovered_at = now()", is_over, {})
    if not (raised or recovered):
        return failures | further
    subject, body = subject_of(raised, recovered), body_of(raised, recovered)
    for channel in channels:
        connection.execute(
            "insert into ops.alert_messages (channel, subject, body) values (%s, %s, %s)", [channel.name, subject, body]
        )
    return failures | further


def forget_resolved(connection: Connection) -> dict[str, str]:
    """Delete alerts that are over and that nobody was told of, which is how it is where there is no channel.

    Open ones stay as they are, so that a first channel is told of them.

    Returns:
        No failures.
    """
    connection.execute(
        f"delete from ops.alerts where raised_at is null and quiet_at <= now() - interval '{_RECOVERS_AFTER}'"
    )
    return {}


def subject_of(raised: Sequence[Alert], recovered: Sequence[Alert]) -> str:
    """The subject of a message: the number of problems and recoveries, and the tenants."""
    parts = []
    if raised:
        parts.append(f"{len(raised):,} problem{'s' * (len(raised) != 1)}")
    if recovered:
        parts.append(f"{len(recovered):,} recovered")
    tenants = sorted({alert.tenant_id for alert in (*raised, *recovered)} - {""})
    shown = f" ({_shorten(tenants)})" if tenants else ""
    return f"xeno-pipeline: {', '.join(parts)}{shown}"


def body_of(raised: Sequence[Alert], recovered: Sequence[Alert]) -> str:
    """The text of a message: each problem with its tenants, since when, and what to try."""
    lines = []
    for heading, alerts in (("Failing", raised), ("Recovered", recovered)):
        problem = attrgetter("kind", "subject")
        for (kind, subject), group in groupby(sorted(alerts, key=problem), problem):
            same = sorted(group, key=attrgetter("tenant_id"))
            lines += [f"{heading}: {subject}, {kind}", *(f"  {alert}" for alert in same[:_TENANTS_SHOWN])]
            if len(same) > _TENANTS_SHOWN:
                lines.append(f"  and {len(same) - _TENANTS_SHOWN:,} more: xeno alerts list")
    return "\n".join(lines)


def deliver(database: Database, channels: Sequence[Channel]) -> int:
    """Deliver due messages, each in its own transaction; a channel that fails is skipped until the next delivery.

    Returns:
        The number of messages delivered.
    """
    delivered = 0
    for channel in channels:
        for _ in range(_MESSAGES_PER_DELIVERY):
            with database.connect() as connection:
                sent = _deliver_next(connection, channel)
            if not sent:
                break
            delivered += 1
    return delivered


def open_alerts(connection: Connection) -> list[Alert]:
    """The alerts that are not resolved, oldest first."""
    return _alerts(connection, f"select {_COLUMNS} from ops.alerts where {_IS_OPEN} order by since")


def purge(connection: Connection) -> None:
    """Delete recovered alerts and messages that are older than a month."""
    connection.execute(f"delete from ops.alerts where recovered_at < now() - interval '{_KEPT_FOR}'")
    connection.execute(f"delete from ops.alert_messages where created_at < now() - interval '{_KEPT_FOR}'")


def _update(
    connection: Connection, assignment: str, condition: str, bound: Mapping[str, object]
) -> tuple[list[Alert], dict[str, str]]:
    """Update alerts for all tenants at once or, where that fails, for those for which it can be done.

    Returns:
        The updated alerts, and the reason for each tenant whose alerts could not be updated.
    """

    def update(tenant_ids: Sequence[str]) -> list[Alert]:
        statement = f"""
            update ops.alerts set {assignment} where {condition} and tenant_id = any(%(tenant_ids)s)
            returning {_COLUMNS}
            """
        with connection.transaction():
            return _alerts(connection, statement, {**bound, "tenant_ids": list(tenant_ids)})

    tenants = connection.execute(f"select distinct tenant_id from ops.alerts where {condition} order by 1", bound)
    parts, failures = bisect([tenant_id for (tenant_id,) in tenants.fetchall()], update)
    return [alert for part in parts for alert in part], {name: safe_message(error) for name, error in failures.items()}


def _alerts(connection: Connection, query: str, bound: Mapping[str, object] | None = None) -> list[Alert]:
    return connection.cursor(row_factory=class_row(Alert)).execute(query, bound).fetchall()


def _deliver_next(connection: Connection, channel: Channel) -> bool:
    """Deliver the oldest due message; false where there is none, or its delivery failed."""
    row = connection.execute(
        """
        select id, subject, body from ops.alert_messages
        where delivered_at is null and given_up_at is null and due_at <= now() and channel = %s
        order by id limit 1
        for update skip locked
        """,
        [channel.name],
    ).fetchone()
    if row is None:
        return False
    number, subject, body = row
    try:
        channel.send(Message(f"alert-{number}", subject, body))
    except Exception as error:  # noqa: BLE001 - the other channels must still be served
        reason = str(error) if isinstance(error, NotDeliveredError) else f"It cannot be sent: {safe_message(error)}."
        connection.execute(
            f"""
            update ops.alert_messages
            set {_BACKOFF.assignments}, error = %s,
                given_up_at = case when created_at < now() - interval '{_GIVEN_UP_AFTER}' then now() end
            where id = %s
            """,
            [reason, number],
        )
        return False
    connection.execute("update ops.alert_messages set delivered_at = now(), error = null where id = %s", [number])
    return True


def _shorten(tenants: Sequence[str]) -> str:
    shown = ", ".join(tenants[:_TENANTS_SHOWN])
    return shown if len(tenants) <= _TENANTS_SHOWN else f"{shown} and {len(tenants) - _TENANTS_SHOWN:,} more"
