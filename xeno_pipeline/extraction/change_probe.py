"""One query that says whether a store has changes: most stores have none in most hours.

It decides as a read of changes would. Objects that changed within the overlap before the cursor are looked up in raw
and among the objects set aside. A stream has changes if one is not there, or if there may be more than the query shows.

Shopify states the second of a change. An object may change again in the second in which it was read, and then looks
like the one in raw. So what changed shortly before the stream was last read, or since, is read once more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.extraction.state import OVERLAP, SyncState
from xeno_pipeline.extraction.streams import Stream
from xeno_pipeline.raw.set_aside import UNIDENTIFIED
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import TimedOutError
from xeno_pipeline.shopify.pagination import updated_since
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.records import changed_at, number_of

log = logging.getLogger(__name__)

_SHOWN = 10
"""Objects of each kind: usually more than change within the overlap."""

_SETTLED_AFTER = timedelta(seconds=31)
"""How long after a change a read holds all that happened in its second. Shopify's clock may differ from this machine's
by the 30 seconds that `xeno doctor` tolerates."""

_FILTERED = "abandoned_checkouts"


Answer = Mapping[str, Any]


def is_current(state: SyncState | None, stream: Stream) -> bool:
    """Whether a stream's history is in raw as today's query reads it, so that only changes are to be looked for."""
    return state is not None and state.history_loaded_at is not None and state.query_version == stream.query_version


def probe(client: ShopifyClient, states: Mapping[str, SyncState]) -> Answer | None:
    """Ask a store whether there is anything new.

    Args:
        client: of the store.
        states: how far its streams were read.

    Returns:
        What `changed_streams` reads; it holds what the query `Shop` asks for, too. None where that takes the store
        too long: then each stream is to be read for itself, in pages that it has time for.

    Raises:
        ShopifyError: the store cannot be read.
    """
    variables = {"first": _SHOWN, "checkouts": updated_since(_begin(states[_FILTERED]))}
    try:
        return client.execute(operation("ChangeProbe"), variables, can_shrink=True).data
    except TimedOutError as error:
        log.warning("%s Each stream is read for itself.", error)
        return None


def changed_streams(
    connection: Connection, tenant_id: str, answer: Answer, streams: Sequence[Stream], states: Mapping[str, SyncState]
) -> list[Stream]:
    """Those of the streams that have something new.

    Args:
        connection: to the database where raw lies.
        tenant_id: whose store answered.
        answer: what it answered.
        streams: those of interest, all of them current.
        states: how far they were read.
    """
    return [
        stream
        for stream in streams
        if _has_changes(connection, tenant_id, stream, answer[stream.pages.connection], states[stream.name])
    ]


def _begin(state: SyncState) -> datetime:
    assert state.cursor_at is not None
    return state.cursor_at - OVERLAP


def _has_changes(
    connection: Connection, tenant_id: str, stream: Stream, shown: Mapping[str, Any], state: SyncState
) -> bool:
    nodes = [node if isinstance(node, dict) else {} for node in shown["nodes"]]
    updated = {number_of(node.get("id"), stream.kind) or UNIDENTIFIED: changed_at(node) for node in nodes}
    recent = {id_: at for id_, at in updated.items() if at is None or at >= _begin(state)}
    if shown["pageInfo"]["hasNextPage"] and len(recent) == len(updated):
        return True
    query = f"""
        select count(*)
        from unnest(%(ids)s::bigint[], %(updated_at)s::timestamptz[]) as shown (id, updated_at)
        cross join lateral (select coalesce(shown.updated_at < %(settled_until)s, false) as is_settled) as settled
        where exists (
            select from raw.{stream.root.name} held
            where held.tenant_id = %(tenant)s and held.id = shown.id
            and (held.updated_at > shown.updated_at or (held.updated_at = shown.updated_at and is_settled))
            and held.deleted_at is null
        )
        or exists (
            select from ops.set_aside aside
            where aside.tenant_id = %(tenant)s and aside.object = %(object)s and aside.object_id = shown.id
            and (
                aside.updated_at > shown.updated_at or (aside.updated_at = shown.updated_at and is_settled)
                or num_nulls(aside.updated_at, shown.updated_at) = 2
            )
        )
        """
    bound = {
        "ids": list(recent),
        "updated_at": list(recent.values()),
        "settled_until": state.asked_at and state.asked_at - _SETTLED_AFTER,
        "tenant": tenant_id,
        "object": stream.root.name,
    }
    row = connection.execute(query, bound).fetchone()
    return row != (len(recent),)
