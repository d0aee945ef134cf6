"""Alerts: what is wrong is told once, however often it is seen, and so is that it is over.

What is seen is kept in `ops.alerts`. The messages that tell of it are written in the same transaction, one for each
channel, and tried until they are delivered: whoever dies in between loses none.
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
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.monitoring.channels import Channel, Message, NotDeliveredError
from xeno_pipeline.monitoring.checks import Finding
from xeno_pipeline.tenants.apart import bisect

_RECOVERS_AFTER = "10 minutes"
"""Of not being seen; what comes and goes more quickly is one alert."""

_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 900
_GIVEN_UP_AFTER = "3 days"
_KEPT_FOR = "30 days"

_TENANTS_NAMED = 5
"""Of those whom the same is wrong with; `xeno alerts list` names all."""

_MESSAGES_AT_ONCE = 20


@dataclass(frozen=True)
class Alert:
    """One thing that is or was wrong; the columns of `ops.alerts` say what each field is."""

    kind: str
    subject: str
    tenant_id: str
    told: str
    command: str
    since: datetime
    times: int

    def __str__(self) -> str:
        """Whom it is about, what is wrong, since when and what to try."""
        is_named = not self.tenant_id or self.told.startswith(f"{self.tenant_id}: ")
        whom = "" if is_named else f"{self.tenant_id}: "
        return f"{whom}{self.told.rstrip('.')} (since {self.since:%Y-%m-%d %H:%M %Z}). Try: {self.command}"


_COLUMNS = "kind, subject, tenant_id, told, command, since, times"


def see(connection: Connection, findings: Iterable[Finding], at: datetime) -> None:
    """Note what is wrong; what was noted already is the same alert.

    Where one of them cannot be noted, that is what is noted, of no tenant in particular, but naming it.

    Args:
        connection: a connection.
        findings: what is wrong.
        at: when it was; what was seen later already is left as it is.
    """
    noted = list(findings)
    try:
        _see(connection, noted, at)
    except psycopg.Error:
        if connection.closed:
            raise
        for finding in noted:
            try:
                _see(connection, [finding], at)
            except psycopg.Error as error:
                _see(connection, [_not_noted(finding, error)], at)


def _not_noted(finding: Finding, error: psycopg.Error) -> Finding:
    whom = f"{finding.tenant_id}: " if finding.tenant_id else ""
    message = f"{whom}{finding.told.rstrip('.')}; the alert could not be noted: {safe_message(error)}"
    return Finding(finding.check, f"{finding.subject} of {finding.tenant_id}", None, message, finding.command)


def _see(connection: Connection, findings: Sequence[Finding], at: datetime) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.alerts as known (kind, subject, tenant_id, told, command, since, last_at)
            values (
                %(check)s, %(subject)s, coalesce(%(tenant_id)s, ''), %(told)s, %(command)s,
                coalesce(%(since)s::timestamptz, %(at)s), %(at)s
            )
            on conflict (kind, subject, tenant_id) where recovered_at is null do update
            set told = excluded.told, command = excluded.command, last_at = excluded.last_at,
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
    but: Collection[str] = (),
) -> dict[str, str]:
    """Note that alerts were not seen at an instant, but for those that were seen then or later.

    Args:
        connection: a connection.
        at: when.
        kinds: of these kinds.
        subject: about this alone; None: about anything.
        tenant_ids: of these, '' being none in particular; None: of all.
        but: not of these: nobody knows whether it is over.

    Returns:
        Of whom that could not be noted, and why.
    """
    condition = """
        recovered_at is null and quiet_at is null and last_at < %(at)s
        and kind = any(%(kinds)s)
        and (%(subject)s::text is null or subject = %(subject)s)
        and (%(only)s::text[] is null or tenant_id = any(%(only)s))
        and tenant_id <> all(%(but)s)
        """
    only = None if tenant_ids is None else list(tenant_ids)
    bound = {"at": at, "kinds": list(kinds), "subject": subject, "only": only, "but": list(but)}
    return _update(connection, "quiet_at = %(at)s", condition, bound)[1]


def resolve_inactive_tenants(connection: Connection) -> dict[str, str]:
    """Note that tenants that were suspended or removed are not watched any more.

    Returns:
        Of whom that could not be noted, and why.
    """
    condition = """
        recovered_at is null and quiet_at is null and tenant_id <> ''
        and tenant_id not in (select tenant_id from ops.tenants where status = 'active')
        """
    return _update(connection, "quiet_at = now()", condition, {})[1]


def announce(connection: Connection, channels: Sequence[Channel]) -> dict[str, str]:
    """Write the messages about what is wrong and was not told yet, and about what is over.

    Returns:
        Whose alerts could not be told, and why.
    """
    raised, failures = _update(connection, "raised_at = now()", "raised_at is null", {})
    over = f"recovered_at is null and raised_at is not null and quiet_at <= now() - interval '{_RECOVERS_AFTER}'"
    recovered, further = _update(connection, "recovered_at = now()", over, {})
    if not (raised or recovered):
        return failures | further
    subject, body = subject_of(raised, recovered), body_of(raised, recovered)
    for channel in channels:
        connection.execute(
            "insert into ops.alert_messages (channel, subject, body) values (%s, %s, %s)", [channel.name, subject, body]
        )
    return failures | further


def subject_of(raised: Sequence[Alert], recovered: Sequence[Alert]) -> str:
    """The subject of a message: how much is wrong or over, and with whom."""
    parts = []
    if raised:
        parts.append(f"{len(raised):,} problem{'s' * (len(raised) != 1)}")
    if recovered:
        parts.append(f"{len(recovered):,} recovered")
    tenants = sorted({alert.tenant_id for alert in (*raised, *recovered)} - {""})
    whose = f" ({_some(tenants)})" if tenants else ""
    return f"xeno-pipeline: {', '.join(parts)}{whose}"


def body_of(raised: Sequence[Alert], recovered: Sequence[Alert]) -> str:
    """The text of a message: each problem with whose it is, since when, and what to try."""
    lines = []
    for heading, alerts in (("Wrong", raised), ("Recovered", recovered)):
        by_what = attrgetter("kind", "subject")
        for (kind, subject), group in groupby(sorted(alerts, key=by_what), by_what):
            same = sorted(group, key=attrgetter("tenant_id"))
            lines += [f"{heading}: {subject}, {kind}", *(f"  {alert}" for alert in same[:_TENANTS_NAMED])]
            if len(same) > _TENANTS_NAMED:
                lines.append(f"  and {len(same) - _TENANTS_NAMED:,} more: xeno alerts list")
    return "\n".join(lines)


def deliver(database: Database, channels: Sequence[Channel]) -> int:
    """Deliver the messages that are due, each in a transaction of its own; of a channel none after a failure.

    Returns:
        How many were delivered.
    """
    delivered = 0
    for channel in channels:
        for _ in range(_MESSAGES_AT_ONCE):
            with database.connect() as connection:
                sent = _deliver_next(connection, channel)
            if not sent:
                break
            delivered += 1
    return delivered


def standing(connection: Connection) -> list[Alert]:
    """What is wrong, as far as was seen, the oldest first."""
    return _alerts(
        connection, f"select {_COLUMNS} from ops.alerts where recovered_at is null and quiet_at is null order by since"
    )


def purge(connection: Connection) -> None:
    """Forget what is over, and messages, after a month."""
    connection.execute(f"delete from ops.alerts where recovered_at < now() - interval '{_KEPT_FOR}'")
    connection.execute(f"delete from ops.alert_messages where created_at < now() - interval '{_KEPT_FOR}'")


def _update(
    connection: Connection, assignment: str, condition: str, bound: Mapping[str, object]
) -> tuple[list[Alert], dict[str, str]]:
    """Change alerts: of all tenants at once, and where that fails, of those of whom it can be done.

    Returns:
        The alerts that were changed; and of whom they could not be, and why.
    """

    def update(tenant_ids: Sequence[str]) -> list[Alert]:
        statement = f"""
            update ops.alerts set {assignment} where {condition} and tenant_id = any(%(tenant_ids)s)
            returning {_COLUMNS}
            """
        with connection.transaction():
            return _alerts(connection, statement, {**bound, "tenant_ids": list(tenant_ids)})

    whose = connection.execute(f"select distinct tenant_id from ops.alerts where {condition} order by 1", bound)
    parts, failures = bisect([tenant_id for (tenant_id,) in whose.fetchall()], update)
    return [alert for part in parts for alert in part], {name: safe_message(error) for name, error in failures.items()}


def _alerts(connection: Connection, query: str, bound: Mapping[str, object] | None = None) -> list[Alert]:
    return connection.cursor(row_factory=class_row(Alert)).execute(query, bound).fetchall()


def _deliver_next(connection: Connection, channel: Channel) -> bool:
    """Deliver the oldest message that is due; whether there was one, and it was."""
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
    except Exception as error:  # noqa: BLE001 - whatever it is, other messages and channels are delivered
        reason = str(error) if isinstance(error, NotDeliveredError) else f"It cannot be sent: {safe_message(error)}."
        connection.execute(
            f"""
            update ops.alert_messages
            set attempts = attempts + 1, error = %s,
                due_at = now() + make_interval(
                    secs => least({_FIRST_PAUSE_SECONDS} * 2 ^ least(attempts, 20), {_LONGEST_PAUSE_SECONDS})
                ),
                given_up_at = case when created_at < now() - interval '{_GIVEN_UP_AFTER}' then now() end
            where id = %s
            """,
            [reason, number],
        )
        return False
    connection.execute("update ops.alert_messages set delivered_at = now(), error = null where id = %s", [number])
    return True


def _some(tenants: Sequence[str]) -> str:
    named = ", ".join(tenants[:_TENANTS_NAMED])
    return named if len(tenants) <= _TENANTS_NAMED else f"{named} and {len(tenants) - _TENANTS_NAMED:,} more"
