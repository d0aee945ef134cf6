"""Reading objects in pages: what changed since an instant, and what a list of ids names.

Every object comes whole: where it has more children than its page held, the rest is fetched.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import MalformedAnswerError, TooCostlyError
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.throttle import MAX_QUERY_COST

Node = dict[str, Any]
"""One object as it was selected; a child connection is the list of its nodes."""

MAX_PAGE = 250
REANCHOR_AFTER = 20_000
"""Objects read by one paging before it starts anew further on; Shopify ends it at 25,000."""

_QUERY_BUDGET = 0.8 * MAX_QUERY_COST

_MORE_CHILDREN = {
    ("Order", "lineItems"): ("OrderLineItems", "order", 100),
    ("Order", "agreements"): ("OrderAgreements", "order", 10),
    ("Product", "variants"): ("ProductVariants", "product", 100),
    ("AbandonedCheckout", "lineItems"): ("AbandonedCheckoutLineItems", "node", 100),
}
"""What fetches more of a parent's children, the field of the answer that holds the parent, the page's size."""

_MORE_SALES = 100


@dataclass(frozen=True)
class PagedQuery:
    """How one kind of object is read in pages.

    Args:
        page: the operation that reads a page of the root connection.
        by_id: the operation that reads a list of ids.
        connection: the root connection's field.
        sort_key: UPDATED_AT where the connection can sort so, else ID.
        first: how many objects to ask for before it is known what one costs.
    """

    page: str
    by_id: str
    connection: str
    sort_key: str
    first: int


@dataclass(frozen=True)
class Page:
    """Some objects, and the instant up to which every change has been read by now (None: not known yet)."""

    nodes: list[Node]
    read_up_to: datetime | None


class Pager:
    """Reads one kind of object of one store.

    Args:
        client: the store's client.
        query: what to read.
    """

    def __init__(self, client: ShopifyClient, query: PagedQuery) -> None:
        self._client = client
        self._query = query
        self._size = query.first
        self._cost_each: float | None = None

    def changes(self, since: datetime) -> Iterator[Page]:
        """Every object updated at or after `since`, in pages; one that changes meanwhile may come twice.

        Args:
            since: an instant with a zone.

        Yields:
            Pages; the last one's `read_up_to` covers the whole read (None where nothing came).

        Read in the order of `updatedAt`, what changes during the read moves to its end and is met there. By
        id it may be missed, so that only changes older than the read's own duration count as read.
        """
        anchor = since
        while self._query.sort_key == "UPDATED_AT":
            latest, count = anchor, 0
            for nodes in self._walk(f"updated_at:>='{_iso(anchor)}'", "UPDATED_AT"):
                latest = max(latest, _latest(nodes))
                count += len(nodes)
                yield Page(nodes, latest)
                if count >= REANCHOR_AFTER:
                    break
            else:
                return
            if latest <= anchor:
                break  # more objects than one paging may hold share an instant, or the filter is coarser
            anchor = latest
        yield from self._changes_by_id(anchor)

    def by_id(self, gids: Sequence[str]) -> Iterator[list[Node]]:
        """The objects that the gids name, in batches; what does not exist (any more) is left out."""
        remaining = list(gids)
        while remaining:
            size = self._size
            answer = self._ask(self._query.by_id, {"ids": remaining[:size]}, size)
            if answer is None:
                continue
            yield [self._whole(node) for node in answer["nodes"] if node]
            remaining = remaining[size:]

    def _changes_by_id(self, since: datetime) -> Iterator[Page]:
        started = time.monotonic()
        latest, last_id = since, 0
        exhausted = False
        while not exhausted:
            count, exhausted = 0, True
            for nodes in self._walk(f"updated_at:>='{_iso(since)}' id:>{last_id}", "ID"):
                latest = max(latest, _latest(nodes))
                last_id = max(last_id, *(number(node["id"]) for node in nodes))
                count += len(nodes)
                yield Page(nodes, None)
                if count >= REANCHOR_AFTER:
                    exhausted = False
                    break
        if latest > since:
            yield Page([], latest - timedelta(seconds=time.monotonic() - started))

    def _walk(self, filter_: str, sort_key: str) -> Iterator[list[Node]]:
        """Page through the root connection until it ends; pages are never empty."""
        after: str | None = None
        while True:
            size = self._size
            variables = {"first": size, "after": after, "query": filter_, "sortKey": sort_key}
            data = self._ask(self._query.page, variables, size)
            if data is None:
                continue
            connection = data[self._query.connection]
            if connection["nodes"]:
                yield [self._whole(node) for node in connection["nodes"]]
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = self._advance(after, connection["pageInfo"]["endCursor"])

    def _advance(self, before: str | None, after: str | None) -> str:
        if after is None or after == before:
            raise MalformedAnswerError(
                self._client.tenant, self._query.page, "promises a next page but gives no new cursor to it."
            )
        return after

    def _ask(self, name: str, variables: Mapping[str, Any], size: int) -> Mapping[str, Any] | None:
        """Ask for `size` objects at once; None means that these were too many, and that fewer are next."""
        expected = self._cost_each * size if self._cost_each is not None else MAX_QUERY_COST
        try:
            answer = self._client.execute(operation(name), variables, expected_cost=expected)
        except TooCostlyError:
            if size <= 1:
                raise
            self._size = size // 2
            return None
        if answer.requested_cost:
            self._cost_each = max(answer.requested_cost / size, 0.001)
            affordable = int(_QUERY_BUDGET / self._cost_each)
            self._size = max(1, min(affordable, 4 * size, MAX_PAGE))
        else:
            self._size = min(4 * size, MAX_PAGE)
        return answer.data

    def _whole(self, node: Node, parent: Node | None = None) -> Node:
        """The node with each child connection replaced by the list of all its nodes."""
        for field, value in node.items():
            if isinstance(value, dict) and "pageInfo" in value:
                children = list(value["nodes"])
                info = value["pageInfo"]
                while info["hasNextPage"]:
                    more = self._more(node, field, info["endCursor"], parent)
                    children.extend(more["nodes"])
                    info = more["pageInfo"]
                node[field] = [self._whole(child, node) for child in children]
        return node

    def _more(self, node: Node, field: str, after: str, parent: Node | None) -> Mapping[str, Any]:
        """The next page of a node's child connection."""
        if field == "sales" and parent is not None:
            return self._more_sales(parent, node, after)
        name, holder, first = _MORE_CHILDREN[node["__typename"], field]
        data = self._client.execute(operation(name), {"id": node["id"], "first": first, "after": after}).data
        connection: Mapping[str, Any] = (data[holder] or self._gone(name, node["id"]))[field]
        return connection

    def _more_sales(self, order: Node, agreement: Node, after: str) -> Mapping[str, Any]:
        """More sales of an agreement, which is no Node of its own: through its order, by the agreement's id."""
        variables = {
            "id": order["id"],
            "agreement": f"id:{number(agreement['id'])}",
            "first": _MORE_SALES,
            "after": after,
        }
        data = self._client.execute(operation("AgreementSales"), variables).data
        for found in (data["order"] or self._gone("AgreementSales", order["id"]))["agreements"]["nodes"]:
            if found["id"] == agreement["id"]:
                sales: Mapping[str, Any] = found["sales"]
                return sales
        return self._gone("AgreementSales", agreement["id"])

    def _gone(self, name: str, gid: str) -> NoReturn:
        raise MalformedAnswerError(
            self._client.tenant,
            name,
            f"no longer finds {gid}, of which a first part was read a moment ago: run the sync again.",
        )


def _iso(instant: datetime) -> str:
    """The instant as the search syntax wants it; without a zone it would be read in the shop's."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _latest(nodes: Sequence[Node]) -> datetime:
    return max(datetime.fromisoformat(node["updatedAt"]) for node in nodes)
