"""Privacy requests, `ops.privacy_requests`: a retry queue, and an audit trail that outlives the erased data.

A request is *done* when it is fulfilled completely, in the marts and in files too. Until then it is retried without
limit; an alert is raised when its deadline comes near.
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
from xeno_pipeline.shopify.ids import gid
from xeno_pipeline.shopify.privacy import PrivacyDelivery

EXPORTS_LIVE = timedelta(days=30)
"""How long after the request its file is deleted."""

_BACKOFF = Backoff(first_seconds=60, longest_seconds=6 * 3600)

_COLUMNS = """
    id, tenant_id, shop_domain, kind, customer_id, order_ids, received_at, deadline_at, attempts, error, outcome,
    done_at, export_file
    """
_IS_DUE = "done_at is null and due_at <= now()"
_IS_EXPIRED = "export_file is not null and received_at < now() - %(exports_live)s"


class StoreResult(StrEnum):
    """The result of storing a privacy webhook."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    UNKNOWN_SHOP = "unknown_shop"


@dataclass(frozen=True)
class PrivacyRequest:
    """One request.

    Args:
        tenant_id: None where the shop was unknown.
        outcome: what was done so far.
        export_file: relative to the folder of exports.
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
        """Days until the deadline; negative after it."""
        return (self.deadline_at - datetime.now(UTC)) / timedelta(days=1)

    def summary(self, exports_folder: Path) -> str:
        """Its outcome, and the time that is left, for people."""
        parts = [self.outcome or "waiting"]
        if self.done_at is not None:
            parts.append(f"done {self.done_at:%Y-%m-%d}")
        else:
            parts.append(f"{self.days_left:.0f} days left" if self.days_left >= 0 else "overdue")
        if self.export_file is not None:
            parts.append(f"file: {exports_folder / self.export_file}")
        return "; ".join(parts) + (f". {self.error}" if self.error else ".")

    def __str__(self) -> str:
        return f"{self.tenant_id or self.shop_domain}: privacy request {self.id} ({self.kind})"


def store(connection: Connection, request: PrivacyDelivery) -> StoreResult:
    """Store a request in the caller's transaction; one of an unknown or removed shop is done at once."""
    delivery = request.delivery
    known = connection.execute(
        """
        select tenant_id from ops.tenants
        where status <> 'removed' and (shop_domain = %(shop_domain)s or shop_gid = %(shop_gid)s)
        order by shop_domain = %(shop_domain)s desc  -- a renamed shop may be known by its former domain only
        limit 1
        """,
        {"shop_domain": delivery.shop_domain, "shop_gid": gid("Shop", request.shop_id)},
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
        return StoreResult.DUPLICATE
    return StoreResult.STORED if known else StoreResult.UNKNOWN_SHOP


def due(connection: Connection) -> list[PrivacyRequest]:
    """The requests that are due, oldest first."""
    return _requests(connection, f"where {_IS_DUE} order by id")


def get(connection: Connection, request_id: int) -> PrivacyRequest:
    """The request with that id.

    Raises:
        UsageError: there is none.
    """
    found = _requests(connection, "where id = %(id)s", id=request_id)
    if not found:
        raise UsageError(f"There is no privacy request {request_id}: `xeno privacy list` shows them.")
    return found[0]


def open_requests(connection: Connection, request_ids: Collection[int]) -> list[PrivacyRequest]:
    """Those of the requests that are not done, due or not."""
    return _requests(connection, "where id = any(%(ids)s) and done_at is null order by id", ids=list(request_ids))


def list_all(connection: Connection, *, limit: int) -> list[PrivacyRequest]:
    """The requests that are not done, the nearest deadline first, then the newest of the others."""
    return _requests(connection, "order by done_at is not null, done_at desc, deadline_at limit %(limit)s", limit=limit)


def with_expired_export(connection: Connection) -> list[PrivacyRequest]:
    """The requests whose file must be deleted."""
    return _requests(connection, f"where {_IS_EXPIRED}", exports_live=EXPORTS_LIVE)


def with_export_of(connection: Connection, tenant_id: str, customer_id: int) -> list[PrivacyRequest]:
    """The requests that have a file about a customer."""
    return _requests(
        connection,
        "where tenant_id = %(tenant_id)s and customer_id = %(customer_id)s and export_file is not null",
        tenant_id=tenant_id,
        customer_id=customer_id,
    )


def pending_work(connection: Connection) -> tuple[list[str], tuple[int, int] | None]:
    """The tenants with due requests or expired files, and the oldest of these requests with its attempts."""
    rows = connection.execute(
        f"""
        select coalesce(tenant_id, shop_domain), min(array[id, attempts]) from ops.privacy_requests
        where ({_IS_DUE}) or ({_IS_EXPIRED}) group by 1 order by 1
        """,
        {"exports_live": EXPORTS_LIVE},
    ).fetchall()
    oldest = min((row[1] for row in rows), default=None)
    return [row[0] for row in rows], (oldest[0], oldest[1]) if oldest else None


def record_outcome(
    connection: Connection, request: PrivacyRequest, outcome: str, export_file: str | None = None
) -> None:
    """Record what was done, in the transaction that does it; the outcome of an interrupted run is kept."""
    connection.execute(
        """
        update ops.privacy_requests set outcome = coalesce(outcome, %s), export_file = coalesce(%s, export_file)
        where id = %s
        """,
        [outcome, export_file, request.id],
    )


def mark_done(connection: Connection, request_ids: Collection[int]) -> None:
    """Record that requests are fulfilled."""
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
    """Repeat every redaction of a customer, after a restored backup brought their data back."""
    connection.execute(
        """
        update ops.privacy_requests set done_at = null, outcome = null, due_at = now()
        where kind = 'customers/redact' and customer_id is not null and tenant_id is not null
        """
    )


def mark_export_deleted(connection: Connection, request: PrivacyRequest) -> None:
    """Record that the file of a request was deleted."""
    connection.execute("update ops.privacy_requests set export_file = null where id = %s", [request.id])


def anonymize_tenant(connection: Connection, tenant_id: str) -> None:
    """Erase the customers' ids from a removed tenant's requests, and close the open ones."""
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
