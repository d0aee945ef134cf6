"""Reading objects in pages: those that changed since an instant, those of a search, and those of a list of ids.

Every object is complete: if it has more children than fit into its page, the rest is fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from xeno_pipeline.shopify.batch_size import BatchSize
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    MalformedResponseError,
    ShopifyError,
    SlowObjectError,
    TimedOutError,
    TooCostlyError,
)
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.records import changed_at, number_of

Node = dict[str, Any]
"""One object as it was selected; a child connection is the list of its nodes."""

REANCHOR_AFTER = 20_000
"""Objects that are read before paging restarts from there. Shopify ends one paging at 25,000."""

_MORE_CHILDREN = {
    ("Order", "lineItems"): ("OrderLineItems", "order", 100),
    ("Order", "agreements"): ("OrderAgreements", "order", 10),
    ("Product", "variants"): ("ProductVariants", "product", 100),
    ("AbandonedCheckout", "lineItems"): ("AbandonedCheckoutLineItems", "node", 100),
}
"""The operation that fetches more of a parent's children, the field of its parent, and the page's size."""

_MORE_SALES = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PagedQuery:
    """How one kind of object is read in pages.

    Args:
        page: the operation that reads a page of the root connection.
        by_id: the operation that reads a list of ids.
        connection: the root connection's field.
        sort_key: UPDATED_AT where the connection can sort so, else ID.
        first: how many objects to request before their cost is known.
    """

    page: str
    by_id: str
    connection: str
    sort_key: str
    first: int

    @property
    def ids_page(self) -> str:
        """The operation that reads a page of the root connection with nothing but ids."""
        return f"{self.page.removesuffix('Page')}IdsPage"


@dataclass(frozen=True)
class Page:
    """Some objects, and the instant up to which all changes are read by now (None: not known yet)."""

    nodes: list[Node]
    read_up_to: datetime | None


class Pager:
    """Reads one kind of object of one store.

    Args:
        slow: gids of objects that are known to take Shopify too long. While they do, pages leave them out.
    """

    def __init__(self, client: ShopifyClient, query: PagedQuery, slow: Collection[str] = ()) -> None:
        self._client = client
        self._query = query
        self._slow = slow
        self._batches = {name: BatchSize(query.first) for name in (query.page, query.by_id)}

    def changes(self, since: datetime) -> Iterator[Page]:
        """Every object updated at or after `since`, in pages. One that changes during the read may come twice.

        In the order of `updatedAt`, an object that changes during the read moves to the end and is read there. In the
        order of ids it may be missed, so only changes older than the read's duration count as read.

        Yields:
            Pages. The last one's `read_up_to` covers the whole read (None if nothing came).

        Raises:
            SlowObjectError: one object takes Shopify too long even alone, and was not known to.
            ShopifyError: they cannot be read.
        """
        anchor = latest = since
        while self._query.sort_key == "UPDATED_AT":
            reached, count = anchor, 0
            for nodes in self._walk(updated_since(anchor), "UPDATED_AT"):
                updated = [at for at in map(changed_at, nodes) if at is not None] or [reached]
                # The search index lags: a node may be listed at the place of an older update than its own. So only
                # the oldest of a page says how far the index has been read.
                reached, latest = max(reached, min(updated)), max(latest, *updated)
                count += len(nodes)
                yield Page(nodes, reached)
                if count >= REANCHOR_AFTER:
                    break
            else:
                if latest > since:
                    yield Page([], latest)
                return
            if reached <= anchor:
                break  # more objects share an instant than one paging may hold, or the filter is coarser
            anchor = reached
        yield from self._changes_by_id(anchor)

    def by_id(self, gids: Sequence[str]) -> Iterator[list[Node]]:
        """The objects that the gids name, in batches; those that do not exist are left out.

        Raises:
            SlowObjectError: one of them takes Shopify too long even alone; raised at the end, after all others.
            ShopifyError: they cannot be read.
        """
        batch, done = self._batches[self._query.by_id], 0
        slow: dict[str, TimedOutError] = {}
        while done < len(gids):
            ids = gids[done : done + batch.size]
            nodes: Sequence[Any] = ()
            try:
                answer = self._request(self._query.by_id, {"ids": ids}, len(ids))
                if answer is None:
                    continue
                nodes = answer["nodes"]
            except TimedOutError as error:
                slow[ids[0]] = error
            done += len(ids)
            whole: list[Node] = []
            for gid, node in zip(ids, nodes, strict=False):
                try:
                    whole += [] if node is None else [self._complete(_of_gid(node, gid))]
                except TimedOutError as error:
                    slow[gid] = error
            if whole:
                yield whole
            if len(slow) > 1:  # it is the store that is slow
                raise list(slow.values())[-1]
        for gid, failure in slow.items():
            what = f"{self._query.by_id} of {gid}"
            raise SlowObjectError(self._client.tenant, what, failure.problem, gid) from failure

    def matching(self, filter_: str) -> Iterator[list[Node]]:
        """The objects that a search finds, in batches and in the order of their ids."""
        beyond, last_id, exhausted = "", 0, False
        while not exhausted:
            count, exhausted = 0, True
            for nodes in self._walk(f"{filter_}{beyond}", "ID"):
                last_id = max(last_id, *(number_of(node.get("id")) or 0 for node in nodes))
                count += len(nodes)
                yield nodes
                if count >= REANCHOR_AFTER:
                    beyond, exhausted = f" id:>{last_id}", False
                    break

    def _changes_by_id(self, since: datetime) -> Iterator[Page]:
        started = self._client.clock()
        latest, last_id = since, 0
        exhausted = False
        while not exhausted:
            count, exhausted = 0, True
            for nodes in self._walk(f"{updated_since(since)} id:>{last_id}", "ID"):
                latest = max([latest, *(at for at in map(changed_at, nodes) if at is not None)])
                last_id = max([last_id, *(id_ for node in nodes if (id_ := number_of(node.get("id"))))])
                count += len(nodes)
                yield Page(nodes, None)
                if count >= REANCHOR_AFTER:
                    exhausted = False
                    break
        if latest > since:
            yield Page([], latest - timedelta(seconds=self._client.clock() - started))

    def _walk(self, filter_: str, sort_key: str) -> Iterator[list[Node]]:
        """Page through the root connection until it ends; pages are never empty."""
        after: str | None = None
        while True:
            size = self._batches[self._query.page].size
            variables = {"first": size, "after": after, "query": filter_, "sortKey": sort_key}
            connection = self._read_page(variables, size)
            if connection is None:
                continue
            yield from self._whole_ones(connection["nodes"])
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = self._advance(self._query.page, after, connection["pageInfo"]["endCursor"])

    def _read_page(self, variables: Mapping[str, Any], size: int) -> Mapping[str, Any] | None:
        """A page of the root connection; None if it was too large and a smaller one is next."""
        try:
            data = self._request(self._query.page, variables, size)
        except TimedOutError as error:
            return self._pass_slow(variables, error)
        return None if data is None else data[self._query.connection]

    def _pass_slow(self, variables: Mapping[str, Any], error: TimedOutError) -> Mapping[str, Any]:
        """A page of one object without that object, which is known to take Shopify too long.

        Raises:
            SlowObjectError: it is not known to.
            TimedOutError: even its id takes too long: the store is slow.
        """
        if self._query.page.endswith("IdsPage"):
            raise error
        try:
            ids = self._client.execute(operation(self._query.ids_page), variables, can_shrink=True)
        except TimedOutError:
            raise error from None
        connection: Mapping[str, Any] = ids.data[self._query.connection]
        for node in connection["nodes"]:
            self._check_known_as_slow(node, error)
        return {**connection, "nodes": []}

    def _check_known_as_slow(self, node: Mapping[str, Any], error: TimedOutError) -> None:
        """Check that an object is known to take Shopify too long.

        Raises:
            SlowObjectError: it is not.
            TimedOutError: the node does not identify its object.
        """
        gid = node.get("id")
        if not isinstance(gid, str) or number_of(gid) is None:
            raise error
        if gid not in self._slow:
            what = f"{error.operation} of {gid}"
            raise SlowObjectError(self._client.tenant, what, error.problem, gid, changed_at(node)) from error
        log.warning("%s It is left out.", error)

    def _advance(self, name: str, before: str | None, after: str | None) -> str:
        try:
            return _next_cursor(before, after)
        except ValueError:
            problem = "promises a next page but gives no new cursor to it: run the sync again."
            raise MalformedResponseError(self._client.tenant, name, problem) from None

    def _request(self, name: str, variables: Mapping[str, Any], size: int) -> Mapping[str, Any] | None:
        """Request `size` objects at once; None if these were too many and fewer are next."""
        batch = self._batches[name]
        try:
            answer = self._client.execute(
                operation(name), variables, expected_cost=batch.expected_cost(size), can_shrink=size > 1
            )
        except (TooCostlyError, TimedOutError) as error:
            if size <= 1:
                raise
            batch.shrink(size, timed_out=isinstance(error, TimedOutError))
            log.warning("%s Requesting %d instead of %d.", error, batch.size, size)
            return None
        batch.learn(answer.requested_cost, size)
        return answer.data

    def _complete(self, node: Any) -> Node:
        """The node with all its children. A malformed one stays as it is: the loader reports it."""
        if not isinstance(node, dict):
            return {}
        try:
            return self._whole(node)
        except (KeyError, TypeError, AttributeError, ValueError):
            return node

    def _whole_ones(self, nodes: Sequence[Any]) -> Iterator[list[Node]]:
        """The nodes with all their children, in one list, never empty. If one fails, those before it come first."""
        whole: list[Node] = []
        for node in nodes:
            try:
                whole += self._unless_slow(node)
            except ShopifyError:
                if whole:
                    yield whole
                raise
        if whole:
            yield whole

    def _unless_slow(self, node: Any) -> list[Node]:
        """The node with all its children; nothing if it is known to take Shopify too long."""
        try:
            return [self._complete(node)]
        except TimedOutError as error:
            self._check_known_as_slow(node, error)
            return []

    def _whole(self, node: Node, parent: Node | None = None) -> Node:
        """The node with each child connection replaced by the list of all its nodes."""
        for field, value in node.items():
            if isinstance(value, dict) and "pageInfo" in value:
                children = list(value["nodes"])
                info, after = value["pageInfo"], None
                while info["hasNextPage"]:
                    after = _next_cursor(after, info["endCursor"])
                    more = self._more(node, field, after, parent)
                    children.extend(more["nodes"])
                    info = more["pageInfo"]
                node[field] = [self._whole(child, node) for child in children]
        return node

    def _more(self, node: Node, field: str, after: str, parent: Node | None) -> Mapping[str, Any]:
        """The next page of a node's child connection."""
        if field == "sales" and parent is not None:
            return self._more_sales(parent, node, after)
        name, holder, first = _MORE_CHILDREN[node["__typename"], field]
        data = self._read_children(name, {"id": node["id"], "after": after}, first)
        connection: Mapping[str, Any] = (data[holder] or self._raise_deleted(name, node["id"]))[field]
        return connection

    def _more_sales(self, order: Node, agreement: Node, after: str) -> Mapping[str, Any]:
        """More sales of an agreement, which can only be read through its order, filtered by its id."""
        variables = {"id": order["id"], "agreement": f"id:{number(agreement['id'])}", "after": after}
        data = self._read_children("AgreementSales", variables, _MORE_SALES)
        for found in (data["order"] or self._raise_deleted("AgreementSales", order["id"]))["agreements"]["nodes"]:
            if found["id"] == agreement["id"]:
                sales: Mapping[str, Any] = found["sales"]
                return sales
        return self._raise_deleted("AgreementSales", agreement["id"])

    def _read_children(self, name: str, variables: Mapping[str, Any], first: int) -> Mapping[str, Any]:
        """Request the next `first` children, or fewer if these are too many at once."""
        batch = self._batches.setdefault(name, BatchSize(first, most=first))
        while True:
            data = self._request(name, {**variables, "first": batch.size}, batch.size)
            if data is not None:
                return data

    def _raise_deleted(self, name: str, gid: str) -> NoReturn:
        raise MalformedResponseError(
            self._client.tenant,
            name,
            f"no longer finds {gid}, of which a first part was read a moment ago: run the sync again.",
        )


def _next_cursor(before: str | None, after: Any) -> str:
    """The cursor to the next page.

    Raises:
        ValueError: there is none, although a next page was promised.
    """
    if not isinstance(after, str) or after == before:
        raise ValueError("There is no cursor to the next page.")
    return after


def _of_gid(node: Any, gid: str) -> Node:
    """A node that was requested by its id. If it has another id, nothing is known of it but that it exists."""
    return node if isinstance(node, dict) and node.get("id") == gid else {"id": gid}


def search_time(instant: datetime) -> str:
    """An instant in the search syntax. Without a zone Shopify would read it in the shop's."""
    return instant.astimezone(UTC).strftime("'%Y-%m-%dT%H:%M:%SZ'")


def updated_since(instant: datetime) -> str:
    """The search filter for what was updated at or after an instant."""
    return f"updated_at:>={search_time(instant)}"
