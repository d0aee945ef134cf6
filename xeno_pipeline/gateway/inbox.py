"""Storing events in the inbox, in batches: one transaction for all events that are waiting.

A commit costs the disk the same for one row as for hundreds. While one transaction commits, further events queue up and
become the next batch. A delivery gets its response only after the transaction with its event has committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import Json

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.safe_messages import error_kind, is_caused_by_values
from xeno_pipeline.shopify.webhooks import Event

log = logging.getLogger(__name__)

_MAX_BATCH_EVENTS = 500
_MAX_BATCH_BYTES = 2 << 20
"""Except for the first event: a transaction of fifty carts of 500 lines each exceeded Shopify's time-out."""

_SIZE_CLASS_BYTES = 64 << 10

STORE_TIMEOUT_SECONDS = 4.0
"""Shopify waits for five."""

_CONNECT_TIMEOUT_SECONDS = 2
_WRITE_TIMEOUT_SECONDS = 2.0
_ATTEMPTS = 2
"""The first one may find its connection closed."""

_INSERT = """
    with sent as (
        select *
        from rows from (
            json_to_recordset(%s) as (
                shop_domain text, webhook_id text, event_id text, topic text, stream text, read_gid text,
                deleted_gid text, changed_at timestamptz, object_created_at timestamptz, triggered_at timestamptz,
                payload jsonb, shop_gid text, named_domain text
            )
        ) with ordinality
            as sent (shop_domain, webhook_id, event_id, topic, stream, read_gid, deleted_gid, changed_at,
                object_created_at, triggered_at, payload, shop_gid, named_domain, place)
    ),
    named as (
        select sent.*, domains.tenant_id as named_id, domains.is_current
        from sent
        left join ops.known_domains domains on domains.domain = sent.shop_domain
    ),
    known as (
        select named.*, tenants.tenant_id
        from named
        join ops.tenants
            on tenants.status <> 'removed'
            and (
                -- The signature covers the body only: where the body names the shop's domain (all do, except Shopify's
                -- samples, which have another shop's id), it must match the header, or the id must match. A former
                -- domain may belong to another shop by now, so there only the id counts.
                tenants.tenant_id = named.named_id
                and (
                    named.is_current and coalesce(named.named_domain, named.shop_domain) = named.shop_domain
                    or coalesce(named.shop_gid, case when not named.is_current then tenants.shop_gid end)
                    = tenants.shop_gid
                )
                -- A renamed shop sends webhooks under its new domain.
                or named.named_id is null and tenants.shop_gid = named.shop_gid
            )
    ),
    kept as (
        insert into ops.webhook_inbox
            (tenant_id, webhook_id, event_id, topic, stream, read_gid, deleted_gid, changed_at, object_created_at,
            triggered_at, payload)
        select tenant_id, webhook_id, event_id, topic, stream, read_gid, deleted_gid, changed_at, object_created_at,
            triggered_at, payload
        from known
        order by place
        on conflict (tenant_id, webhook_id) do nothing
        returning tenant_id, webhook_id
    )
    select known.place::int, kept.webhook_id is not null
    from known
    left join kept on kept.tenant_id = known.tenant_id and kept.webhook_id = known.webhook_id
    """


def can_store(database: Database) -> bool:
    """Whether the statement that stores events works on the tables as they are; it is tried with no event.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    with database.connect() as connection:
        try:
            connection.execute(_INSERT, [_array([])])
        except psycopg.ProgrammingError:
            return False
    return True


class Outcome(StrEnum):
    """The result of storing a valid delivery."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    UNKNOWN_SHOP = "unknown_shop"


class InboxUnavailableError(Exception):
    """The database did not store the event in time."""


class UnstorableError(Exception):
    """The database rejects the content of a delivery; the text is the kind of its error."""


class _Waiting(NamedTuple):
    """An event in the queue. Small ones go first, so that one store's huge carts do not delay all others.

    Args:
        size_class: that of its row.
        number: tells events of a size apart, in the order in which they came.
        row: its columns as a JSON object.
        outcome: what became of it.
    """

    size_class: int
    number: int
    event: Event
    row: bytes
    outcome: asyncio.Future[Outcome]


class Inbox:
    """Stores events from any number of tasks of one event loop.

    Args:
        timeout_seconds: after which an event that is not stored is given up.
    """

    def __init__(self, database: Database, timeout_seconds: float = STORE_TIMEOUT_SECONDS) -> None:
        self._database = database
        self._timeout_seconds = timeout_seconds
        self._waiting: list[_Waiting] = []
        self._has_waiting = asyncio.Event()
        self._deadlines: deque[tuple[float, asyncio.Future[Outcome]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._numbers = count()
        self._connection: psycopg.AsyncConnection | None = None
        self._writer: asyncio.Task[None] | None = None

    async def put(self, event: Event) -> Outcome:
        """Store an event; returns once it is committed.

        Raises:
            InboxUnavailableError: it was not stored in time, or the database's response was lost.
            UnstorableError: it can never be stored.
        """
        try:
            row = orjson.dumps(_columns(event))
        except orjson.JSONEncodeError as error:
            raise UnstorableError(error_kind(error)) from None
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        heappush(self._waiting, _Waiting(len(row) // _SIZE_CLASS_BYTES, next(self._numbers), event, row, outcome))
        self._has_waiting.set()
        deadline = loop.time() + self._timeout_seconds
        self._deadlines.append((deadline, outcome))
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._expire)
        return await outcome

    def _expire(self) -> None:
        """Give up the events that were not stored in time. One timer for all costs less than one for each."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][1].done()):
            _resolve(self._deadlines.popleft()[1], InboxUnavailableError())
        self._timer = loop.call_at(self._deadlines[0][0], self._expire) if self._deadlines else None

    async def __aenter__(self) -> Inbox:
        self._writer = asyncio.create_task(self._write_batches())
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        if self._timer is not None:
            self._timer.cancel()
        for _, outcome in self._deadlines:
            _resolve(outcome, InboxUnavailableError())
        await self._disconnect()

    async def _write_batches(self) -> None:
        while True:
            await self._has_waiting.wait()
            await asyncio.sleep(0)  # deliveries that arrived together with the first are on their way to the queue
            if batch := self._take_batch():
                await self._settle(batch)
            while self._deadlines and self._deadlines[0][1].done():
                self._deadlines.popleft()

    def _take_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _MAX_BATCH_EVENTS and size < _MAX_BATCH_BYTES:
            waiting = heappop(self._waiting)
            if not waiting.outcome.done():  # it may have been given up
                batch.append(waiting)
                size += len(waiting.row)
        if not self._waiting:
            self._has_waiting.clear()
        return batch

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Write a batch, and resolve the outcome of each event.

        A batch that is rejected because of its content is bisected, so that only the events at fault fail.
        """
        parts = [batch]
        while parts:
            part = [waiting for waiting in parts.pop() if not waiting.outcome.done()]
            if not part:
                continue
            try:
                outcomes = await self._insert(part)
            except InboxUnavailableError:
                for waiting in [*part, *(waiting for later in parts for waiting in later)]:
                    _resolve(waiting.outcome, InboxUnavailableError())
                return
            except UnstorableError as error:
                if len(part) == 1:
                    _resolve(part[0].outcome, error)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            else:
                for waiting, outcome in zip(part, outcomes, strict=True):
                    _resolve(waiting.outcome, outcome)

    async def _insert(self, events: Sequence[_Waiting]) -> list[Outcome]:
        """Insert events in one transaction; returns their outcomes.

        Raises:
            InboxUnavailableError: the database did not store them.
            UnstorableError: it rejects the content of one of them; none was stored.
        """
        for _ in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_WRITE_TIMEOUT_SECONDS):
                    return await self._insert_once(events)
            except Exception as error:  # noqa: BLE001 - the one writer outlives whatever happens
                if is_caused_by_values(error):
                    await self._disconnect(unless_idle=True)
                    raise UnstorableError(error_kind(error)) from None
                log.warning("the database did not store events", extra={"error": type(error).__name__})
                await self._disconnect()
        raise InboxUnavailableError

    async def _insert_once(self, events: Sequence[_Waiting]) -> list[Outcome]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._database.url,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                prepare_threshold=self._database.prepare_threshold,
                application_name="xeno-gateway",
            )
        cursor = await self._connection.execute(_INSERT, [_array([waiting.row for waiting in events])])
        outcomes = [Outcome.UNKNOWN_SHOP] * len(events)
        stored: set[tuple[str, str]] = set()
        for place, is_new in sorted(await cursor.fetchall()):
            delivery = events[place - 1].event.delivery
            key = (delivery.shop_domain, delivery.webhook_id)
            outcomes[place - 1] = Outcome.STORED if is_new and key not in stored else Outcome.DUPLICATE
            stored.add(key)
        return outcomes

    async def _disconnect(self, *, unless_idle: bool = False) -> None:
        if self._connection is not None:
            if unless_idle and self._connection.info.transaction_status == TransactionStatus.IDLE:
                return
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _columns(event: Event) -> dict[str, object]:
    """What is sent of an event, by the names that `_INSERT` has for it."""
    delivery = event.delivery
    return {
        "shop_domain": delivery.shop_domain,
        "webhook_id": delivery.webhook_id,
        "event_id": delivery.event_id,
        "topic": delivery.topic,
        "stream": event.stream,
        "read_gid": event.read_gid,
        "deleted_gid": event.deleted_gid,
        "changed_at": event.changed_at,
        "object_created_at": event.object_created_at,
        "triggered_at": delivery.triggered_at,
        "payload": event.payload,
        "shop_gid": event.shop_gid,
        "named_domain": event.named_domain,
    }


def _array(rows: Sequence[bytes]) -> Json:
    """Rows as the parameter of `_INSERT`."""
    return Json(b"[%b]" % b",".join(rows), bytes)
