"""The privacy requests, `ops.privacy_requests`: an audit that outlives what it asks to be erased, and the work to do.

A request is *done* when nothing of what it asks for is left to do, in the marts and in files too. Until then it stays
due, however often it fails: there is no giving up, only an alert when its deadline comes near.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from psycopg.rows import class_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.retry_queue import Backoff
from xeno_pipeline.errors import UsageError
from xeno_pipeline.shopify.privacy import PrivacyDelivery

EXPORTS_LIVE = timedelta(days=30)
"""From the request on; then the file is deleted."""

_BACKOFF = Backoff(first_seconds=60, longest_seconds=6 * 3600)

_COLUMNS = """
    id, tenant_id, shop_domain, kind, customer_id, order_ids, received_at, deadline_at, attempts, error, outcome,
    done_at, export_file
    """
_IS_DUE = "done_at is null and due_at <= now()"
_IS_EXPIRED = "export_file is not null and received_at < now() - %(exports_live)s"


class Kept(StrEnum):
    """What became of a privacy webhook at the gateway."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    UNKNOWN_SHOP = "unknown_shop"


@dataclass(frozen=True)
class PrivacyRequest:
    """One row of the audit.

    Args:
        tenant_id: whose customer, or who; None where the shop was unknown.
        outcome: what was done so far; None where nothing was.
        export_file: below the folder of exports; None where there is none any more.
    """

    id: int
    tenant_id: str | None
    shop_domain: str
    kind: str
    customer_id: int | None
    order_ids: Sequence[int]
    received_at: datetime
    deadline_at: datetime
    attempts: int
    error: str | None
    outcome: str | None
    done_at: datetime | None
    export_file: str | None

    @property
    def days_left(self) -> float:
        """Until the deadline, in days; negative after it."""
        return (self.deadline_at - datetime.now(UTC)) / timedelta(days=1)

    def summary(self, exports_folder: Path) -> str:
        """What became of it, or how long there is time, for people."""
        told = [self.outcome or "waiting"]
        if self.done_at is not None:
            told.append(f"done {self.done_at:%Y-%m-%d}")
        else:
            told.append(f"{self.days_left:.0f} days left" if self.days_left >= 0 else "overdue")
        if self.export_file is not None:
            told.append(f"file: {exports_folder / self.export_file}")
        return "; ".join(told) + (f". {self.error}" if self.error else ".")

    def __str__(self) -> str:
        return f"{self.tenant_id or self.shop_domain}: privacy request {self.id} ({self.kind})"


def keep(connection: Connection, request: PrivacyDelivery) -> Kept:
    """Write a request down, in the caller's transaction; of a shop that is unknown or removed nothing is to be done."""
    delivery = request.delivery
    known = connection.execute(
        """
        select tenant_id from ops.tenants
        where status <> 'removed' and (shop_domain = %(shop_domain)s or shop_gid = %(shop_gid)s)
        order by shop_domain = %(shop_domain)s desc  -- one that was renamed may be known by its former name alone
        limit 1
        """,
        {"shop_domain": delivery.shop_domain, "shop_gid": f"gid://shopify/Shop/{request.shop_id}"},
    ).fetchone()
    stored = connection.execute(
        """
        insert into ops.privacy_requests
            (tenant_id, shop_domain, kind, webhook_id, data_request_id, customer_id, order_ids, done_at, outcome)
        values (%(tenant_id)s, %(shop_domain)s, %(kind)s, %(webhook_id)s, %(data_request_id)s, %(customer_id)s,
            %(order_ids)s, case when %(tenant_id)s::text is null then now() end,
            case when %(tenant_id)s::text is null then 'nothing held: there is no such tenant' end)
        on conflict do nothing
        """,
        {
            "tenant_id": known and known[0],
            "shop_domain": delivery.shop_domain,
            "kind": delivery.topic,
            "webhook_id": delivery.webhook_id,
            "data_request_id": request.data_request_id,
            "customer_id": request.customer_id,
            "order_ids": list(request.order_ids),
        },
    ).rowcount
    if not stored:
        return Kept.DUPLICATE
    return Kept.STORED if known else Kept.UNKNOWN_SHOP


def due(connection: Connection) -> list[PrivacyRequest]:
    """The requests to work on, the oldest first."""
    return _requests(connection, f"where {_IS_DUE} order by id")


def get(connection: Connection, request_id: int) -> PrivacyRequest:
    """The request of that number.

    Raises:
        UsageError: there is none.
    """
    found = _requests(connection, "where id = %(id)s", id=request_id)
    if not found:
        raise UsageError(f"There is no privacy request {request_id}: `xeno privacy list` shows them.")
    return found[0]


def open_requests(connection: Connection, request_ids: Collection[int]) -> list[PrivacyRequest]:
    """Those of the requests that are not done, whether they are due or not."""
    return _requests(connection, "where id = any(%(ids)s) and done_at is null order by id", ids=list(request_ids))


def every(connection: Connection, *, limit: int) -> list[PrivacyRequest]:
    """The requests that are not done, the nearest deadline first, then the newest of the others."""
    return _requests(connection, "order by done_at is not null, done_at desc, deadline_at limit %(limit)s", limit=limit)


def with_expired_export(connection: Connection) -> list[PrivacyRequest]:
    """The requests whose file has lived long enough."""
    return _requests(connection, f"where {_IS_EXPIRED}", exports_live=EXPORTS_LIVE)


def exported_of(connection: Connection, tenant_id: str, customer_id: int) -> list[PrivacyRequest]:
    """The requests by which there is a file about a customer."""
    return _requests(
        connection,
        "where tenant_id = %(tenant_id)s and customer_id = %(customer_id)s and export_file is not null",
        tenant_id=tenant_id,
        customer_id=customer_id,
    )


def work(connection: Connection) -> tuple[list[str], tuple[int, int] | None]:
    """The tenants that there is something to do for, and of that the oldest request with how often it was tried."""
    rows = connection.execute(
        f"""
        select coalesce(tenant_id, shop_domain), min(array[id, attempts]) from ops.privacy_requests
        where ({_IS_DUE}) or ({_IS_EXPIRED}) group by 1 order by 1
        """,
        {"exports_live": EXPORTS_LIVE},
    ).fetchall()
    oldest = min((row[1] for row in rows), default=None)
    return [row[0] for row in rows], (oldest[0], oldest[1]) if oldest else None


def note_outcome(connection: Connection, request: PrivacyRequest, outcome: str, export_file: str | None = None) -> None:
    """Write down what is done, in the transaction that does it; what a dead run did before is not forgotten."""
    connection.execute(
        """
        update ops.privacy_requests set outcome = coalesce(outcome, %s), export_file = coalesce(%s, export_file)
        where id = %s
        """,
        [outcome, export_file, request.id],
    )


def mark_done(connection: Connection, request_ids: Collection[int]) -> None:
    """Note that nothing is left to do."""
    connection.execute(
        "update ops.privacy_requests set done_at = now(), error = null where id = any(%s)", [list(request_ids)]
    )


def record_failure(connection: Connection, request_id: int, error: str) -> None:
    """Record why a request failed; it is retried after a pause that grows to six hours.

    Args:
        error: without personal data.
    """
    connection.execute(
        f"update ops.privacy_requests set {_BACKOFF.assignments}, error = %s where id = %s", [error, request_id]
    )


def reopen_redactions(connection: Connection) -> None:
    """Have every redaction of a customer done again: a backup brings back what was in it."""
    connection.execute(
        """
        update ops.privacy_requests set done_at = null, outcome = null, due_at = now()
        where kind = 'customers/redact' and customer_id is not null and tenant_id is not null
        """
    )


def mark_export_deleted(connection: Connection, request: PrivacyRequest) -> None:
    """Note that the file of a request is no more."""
    connection.execute("update ops.privacy_requests set export_file = null where id = %s", [request.id])


def forget_tenant(connection: Connection, tenant_id: str) -> None:
    """Leave of a removed tenant's requests what was asked and what was done, without whom it was about."""
    connection.execute(
        """
        update ops.privacy_requests
        set customer_id = null, order_ids = '{}', export_file = null, done_at = coalesce(done_at, now()),
            outcome = coalesce(outcome, 'removed with the tenant')
        where tenant_id = %s
        """,
        [tenant_id],
    )


def _requests(connection: Connection, clause: str, **bound: object) -> list[PrivacyRequest]:
    cursor = connection.cursor(row_factory=class_row(PrivacyRequest))
    return cursor.execute(f"select {_COLUMNS} from ops.privacy_requests {clause}", bound).fetchall()
