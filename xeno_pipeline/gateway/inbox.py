"""Storing events in the inbox, in batches: one transaction for all events that are waiting.

A commit costs the disk the same for one row as for hundreds. While one transaction commits, further events queue up and
become the next batch. A delivery gets its response only after the transaction with its event has committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.safe_messages import error_kind, is_caused_by_values
from xeno_pipeline.shopify.webhooks import Event

log = logging.getLogger(__name__)

_MAX_BATCH_EVENTS = 500
_MAX_BATCH_BYTES = 2 << 20
"""Except for the first event: a transaction of fifty carts of 500 lines each exceeded Shopify's time-out."""

_SIZE_CLASS_BYTES = 64 << 10
_CONNECT_TIMEOUT_SECONDS = 2
_WRITE_TIMEOUT_SECONDS = 2.0
_ATTEMPTS = 2
"""The first one may find its connection closed."""

_INSERT = """
    with sent as (
        select *
        from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[], %s::text[], %s::text[])
            with ordinality
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


_PARAMETERS = _INSERT.count("%s")


def can_store(database: Database) -> bool:
    """Whether the statement that stores events works on the tables as they are; it is tried with no event.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    with database.connect() as connection:
        try:
            connection.execute(_INSERT, [[] for _ in range(_PARAMETERS)])
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


@dataclass(frozen=True, order=True)
class _Waiting:
    """An event in the queue. Small ones go first, so that one store's huge carts do not delay all others."""

    size_class: int
    number: int
    event: Event = field(compare=False)
    payload: bytes | None = field(compare=False)
    outcome: asyncio.Future[Outcome] = field(compare=False)

    @property
    def size(self) -> int:
        """The bytes of the payload."""
        return len(self.payload or b"")


class Inbox:
    """Stores events from any number of tasks of one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue()
        self._numbers = count()
        self._connection: psycopg.AsyncConnection | None = None
        self._writer: asyncio.Task[None] | None = None

    async def put(self, event: Event) -> Outcome:
        """Store an event; returns once it is committed.

        Raises:
            InboxUnavailableError: it was not stored, or the database's response was lost.
            UnstorableError: it can never be stored.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            payload = orjson.dumps(event.payload) if event.payload is not None else None
        except orjson.JSONEncodeError as error:
            raise UnstorableError(error_kind(error)) from None
        size_class = len(payload or b"") // _SIZE_CLASS_BYTES
        self._waiting.put_nowait(_Waiting(size_class, next(self._numbers), event, payload, outcome))
        return await outcome

    async def __aenter__(self) -> Inbox:
        self._writer = asyncio.create_task(self._write_batches())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        await self._disconnect()

    async def _write_batches(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            size = batch[0].size
            while len(batch) < _MAX_BATCH_EVENTS and size < _MAX_BATCH_BYTES and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
                size += batch[-1].size
            batch = [waiting for waiting in batch if not waiting.outcome.done()]  # its client may have disconnected
            if batch:
                await self._settle(batch)

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
                    _resolve(waiting, InboxUnavailableError())
                return
            except UnstorableError as error:
                if len(part) == 1:
                    _resolve(part[0], error)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            else:
                for waiting, outcome in zip(part, outcomes, strict=True):
                    _resolve(waiting, outcome)

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
        columns = zip(*map(_values, events), strict=True)
        cursor = await self._connection.execute(_INSERT, [list(column) for column in columns])
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


def _resolve(waiting: _Waiting, outcome: Outcome | Exception) -> None:
    if waiting.outcome.done():
        return
    if isinstance(outcome, Exception):
        waiting.outcome.set_exception(outcome)
    else:
        waiting.outcome.set_result(outcome)


def _values(waiting: _Waiting) -> tuple[object, ...]:
    event, delivery = waiting.event, waiting.event.delivery
    return (
        *(delivery.shop_domain, delivery.webhook_id, delivery.event_id, delivery.topic, event.stream),
        *(event.read_gid, event.deleted_gid, event.changed_at, event.object_created_at, delivery.triggered_at),
        *(Jsonb(waiting.payload, bytes) if waiting.payload is not None else None, event.shop_gid, event.named_domain),
    )
