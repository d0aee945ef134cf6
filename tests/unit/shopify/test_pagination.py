"""Paged reads: everything that changed comes, whole, however it changes while it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fake_shop import Answered, Asked, Connect, FakeClock, FakeShop, data, failure
from xeno_pipeline.shopify import pagination
from xeno_pipeline.shopify.batch_size import MAX_PAGE
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    MalformedResponseError,
    ShopifyError,
    SlowObjectError,
    TimedOutError,
    TooCostlyError,
)
from xeno_pipeline.shopify.pagination import PagedQuery, Pager
from xeno_pipeline.shopify.retry import RetryPolicy

CUSTOMERS = PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", first=2)
CHECKOUTS = PagedQuery("AbandonedCheckoutsPage", "AbandonedCheckoutsById", "abandonedCheckouts", "ID", first=2)
ORDERS = PagedQuery("OrdersPage", "OrdersById", "orders", "UPDATED_AT", first=5)
PRODUCTS = PagedQuery("ProductsPage", "ProductsById", "products", "UPDATED_AT", first=20)
SINCE = datetime(2026, 5, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return SINCE + timedelta(seconds=seconds)


class Listing:
    """A connection as Shopify pages it: filtered and sorted by a search index that may lag behind the objects.

    Args:
        indexed: when each object changed, by its id, as the index knows it.
        limit: the position at which paging ends (25,000 at Shopify).
        cost_each: points per object asked for.
        slow_above: more objects than that at once take it too long.
        slow: these take it too long even one at a time.
    """

    slow_answer = failure("TIMEOUT", "Timeout")

    def __init__(
        self,
        indexed: dict[int, datetime],
        *,
        limit: int = 25_000,
        cost_each: float = 10,
        slow_above: int = 25_000,
        slow: Collection[int] = (),
    ) -> None:
        self.indexed = dict(indexed)
        self.updated = dict(indexed)
        self.limit = limit
        self.cost_each = cost_each
        self.slow_above = slow_above
        self.slow = slow
        self.asked: list[dict[str, Any]] = []
        self.before_page: Callable[[int], None] = lambda _: None
        self.spoiled: dict[int, Any] = {}

    def change(self, id_: int, when: datetime, *, seen_by_index: bool = True) -> None:
        self.updated[id_] = when
        if seen_by_index:
            self.indexed[id_] = when

    def __call__(self, asked: Asked) -> Answered:
        variables = asked.variables
        self.asked.append(variables)
        size = len(variables["ids"]) if "ids" in variables else variables["first"]
        if size * self.cost_each > 1000:
            return failure("MAX_COST_EXCEEDED", "Query cost exceeds the limit.")
        if size > self.slow_above or any(_number(gid) in self.slow for gid in variables.get("ids", ())):
            return self.slow_answer
        if "ids" in variables:
            content: dict[str, Any] = {"nodes": [self._node(_number(gid)) for gid in variables["ids"]]}
        else:
            self.before_page(len(self.asked))
            (field,) = re.findall(r"\{(customers|abandonedCheckouts)\(", json.loads(asked.body)["query"])
            content = {field: self._page(variables)}
            shown = {_number(node["id"]) for node in content[field]["nodes"] if node and node.get("id")}
            if shown.intersection(self.slow) and "IdsPage" not in json.loads(asked.body)["operationName"]:
                return self.slow_answer
        return data(content, requested=size * self.cost_each, actual=1)

    def _page(self, variables: dict[str, Any]) -> dict[str, Any]:
        since = datetime.fromisoformat(re.findall(r"updated_at:>='([^']+)'", variables["query"])[0])
        assert since.tzinfo is not None
        beyond = int((re.findall(r"id:>(\d+)", variables["query"]) or ["-1"])[0])
        by_update = variables["sortKey"] == "UPDATED_AT"
        found = sorted(
            (when.timestamp() if by_update else 0.0, id_)
            for id_, when in self.indexed.items()
            if when >= since and id_ > beyond
        )
        after = tuple(json.loads(variables["after"])) if variables["after"] else (-1.0, -1)
        start = sum(key <= after for key in found)
        page = found[start : start + variables["first"]]
        assert start + len(page) <= self.limit, "paged beyond the limit"
        info = {"hasNextPage": start + len(page) < len(found), "endCursor": json.dumps(page[-1]) if page else None}
        return {"nodes": [self._node(id_) for _, id_ in page], "pageInfo": info}

    def _node(self, id_: int) -> dict[str, Any] | None:
        if id_ not in self.updated:
            return None
        if id_ in self.spoiled:
            spoiled: dict[str, Any] | None = self.spoiled[id_]
            return spoiled
        gid = f"gid://shopify/Customer/{id_}"
        return {"__typename": "Customer", "id": gid, "updatedAt": self.updated[id_].strftime("%Y-%m-%dT%H:%M:%SZ")}


def _number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def ids(nodes: list[dict[str, Any]]) -> list[int]:
    return [_number(node["id"]) for node in nodes]


def until_it_breaks_off(batches: Iterator[list[dict[str, Any]]]) -> tuple[list[int], Exception]:
    """The ids of what came, and why no more did."""
    read: list[int] = []
    try:
        for batch in batches:
            read += ids(batch)
    except ShopifyError as error:
        return read, error
    raise AssertionError("it was to break off")


# --- changes in the order of their time ---


def test_every_change_since_an_instant_comes_and_nothing_older(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = Listing({n: at(n) for n in range(-5, 30)})
    pages = list(Pager(client, CUSTOMERS).changes(SINCE))
    assert [id_ for page in pages for id_ in ids(page.nodes)] == list(range(30))
    assert pages[-1].read_up_to == at(29)


def test_the_instant_is_told_with_its_zone(shop: FakeShop, client: ShopifyClient) -> None:
    """One without would be read in the shop's."""
    shop.respond = listing = Listing({1: at(0)})
    list(Pager(client, CUSTOMERS).changes(SINCE.astimezone(timezone(timedelta(hours=9)))))
    assert listing.asked[0]["query"] == "updated_at:>='2026-05-01T00:00:00Z'"


def test_nothing_comes_of_a_store_without_changes(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = Listing({1: at(-1)})
    assert list(Pager(client, CUSTOMERS).changes(SINCE)) == []
    assert list(Pager(client, CHECKOUTS).changes(SINCE)) == []


SPOILED: list[Any] = [
    None,
    [],
    {},
    {"id": None, "updatedAt": None},
    {"id": "gid://shopify/Customer/9", "updatedAt": "0000-12-30T00:00:00Z"},
    {"id": "gid://shopify/Customer/9", "updatedAt": "12026-11-01T00:00:00Z"},
    {"id": "gid://shopify/Customer/9", "updatedAt": "2026-05-01T00:00:09", "orders": {"pageInfo": None, "nodes": [7]}},
]


@pytest.mark.parametrize("query", [CUSTOMERS, CHECKOUTS], ids=["by change", "by id"])
@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
def test_a_record_that_is_none_neither_stops_a_read_nor_says_how_far_it_has_come(
    query: PagedQuery, spoiled: Any, shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(1, 21)})
    listing.spoiled = {10: spoiled, 20: spoiled}

    pages = list(Pager(client, query).changes(SINCE))

    nodes = [node for page in pages for node in page.nodes]
    assert [node.get("id") for node in nodes[:9]] == [f"gid://shopify/Customer/{n}" for n in range(1, 10)]
    assert nodes[9] == nodes[19] == (spoiled or {})
    assert pages[-1].read_up_to == at(19)


def test_pages_grow_to_what_their_cost_allows(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(200)}, cost_each=10)
    list(Pager(client, CUSTOMERS).changes(SINCE))
    assert [asked["first"] for asked in listing.asked] == [2, 8, 32, 80, 80]


def test_pages_never_grow_beyond_what_shopify_allows(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(900)}, cost_each=0.1)
    list(Pager(client, CUSTOMERS).changes(SINCE))
    assert max(asked["first"] for asked in listing.asked) == MAX_PAGE == 250


def test_a_page_that_costs_too_much_is_halved_until_it_does_not(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(3)}, cost_each=600)
    query = PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", first=8)
    pages = list(Pager(client, query).changes(SINCE))
    assert [asked["first"] for asked in listing.asked] == [8, 4, 2, 1, 1, 1]
    assert [id_ for page in pages for id_ in ids(page.nodes)] == [0, 1, 2]


def test_one_object_that_costs_too_much_is_an_error(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = Listing({1: at(1)}, cost_each=2000)
    with pytest.raises(TooCostlyError):
        list(Pager(client, CUSTOMERS).changes(SINCE))
    with pytest.raises(TooCostlyError):
        list(Pager(client, CUSTOMERS).by_id(["gid://shopify/Customer/1"]))


# --- pages that take the store too long ---

SLOW = {
    "TIMEOUT": (failure("TIMEOUT", "Timeout"), 1),
    "a time-out without a code": (failure(None, "Timeout"), 1),
    "HTTP 504": (Answered(b"<html>Gateway Timeout</html>", status=504), 1),
    "no answer in time": (Answered(hang=True), 1),
    "an internal error": (failure("INTERNAL_SERVER_ERROR", "Internal error."), 2),
    "HTTP 502": (Answered(b"<html>Bad Gateway</html>", status=502), 2),
    "a page of HTML": (Answered(b"<html>Sorry</html>"), 2),
    "a connection reset in the answer": (Answered({"data": {}}, drop_at=3), 2),
}
"""What a page that is too large meets, and how often it is asked for."""


@pytest.mark.parametrize(("answer", "times"), SLOW.values(), ids=SLOW)
def test_a_page_that_takes_too_long_is_halved_at_once_and_reading_goes_on(
    answer: Answered, times: int, shop: FakeShop, connect: Connect, clock: FakeClock
) -> None:
    client = connect(retry_policy=RetryPolicy(read_timeout=0.1))
    shop.respond = listing = Listing({n: at(n) for n in range(120)}, cost_each=18, slow_above=40)
    listing.slow_answer = answer
    pages = list(
        Pager(client, PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", 5)).changes(SINCE)
    )
    assert [id_ for page in pages for id_ in ids(page.nodes)] == list(range(120))
    assert [asked["first"] for asked in listing.asked] == [5, 20, *([44] * times), 22, 22, 22, 22, 22]
    assert sum(clock.slept) < 5


def test_throttling_halves_no_page(shop: FakeShop, client: ShopifyClient) -> None:
    listing = Listing({n: at(n) for n in range(3)})
    throttles = iter([failure("THROTTLED", "Throttled")] * 5)
    shop.respond = lambda asked: next(throttles, None) or listing(asked)
    list(Pager(client, CUSTOMERS).changes(SINCE))
    assert [asked["first"] for asked in listing.asked] == [2, 8]


def test_a_store_that_is_always_slow_is_asked_for_too_much_ever_more_seldom(
    shop: FakeShop, client: ShopifyClient
) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(3000)}, cost_each=1, slow_above=40)
    list(Pager(client, CUSTOMERS).changes(SINCE))
    too_large = [place for place, asked in enumerate(listing.asked) if asked["first"] > 40]
    assert len(too_large) <= 12 < len(listing.asked) / 8
    assert min(asked["first"] for asked in listing.asked[3:]) >= 20


def test_a_store_that_was_slow_for_a_moment_is_read_fast_again(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(3000)}, cost_each=1)

    def recover(page: int) -> None:
        listing.slow_above = 25_000

    for _ in Pager(client, CUSTOMERS).changes(SINCE):
        listing.slow_above = 1 if len(listing.asked) == 4 else 25_000
        listing.before_page = recover
    assert min(asked["first"] for asked in listing.asked[4:]) == 1
    assert listing.asked[-1]["first"] == 250


def test_one_object_that_takes_too_long_is_an_error_after_what_came_before_it(shop: FakeShop, connect: Connect) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    listing = Listing({n: at(n) for n in range(5)}, cost_each=400)

    def stall(page: int) -> None:
        listing.slow_above = 0 if page == 2 else 25_000

    listing.before_page = stall
    shop.respond = listing
    read, error = until_it_breaks_off(page.nodes for page in Pager(client, CUSTOMERS).changes(SINCE))
    assert read == [0, 1, 2, 3]
    assert isinstance(error, TimedOutError)
    assert re.match(r"acme: CustomersPage took Shopify too long .* try again later", str(error))


def test_an_object_that_always_takes_too_long_is_named_and_pages_go_on_without_it_once_it_is_known(
    shop: FakeShop, connect: Connect
) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    shop.respond = Listing({n: at(n) for n in range(9)}, cost_each=1, slow=[4])

    read, error = until_it_breaks_off(page.nodes for page in Pager(client, CUSTOMERS).changes(SINCE))
    assert read == [0, 1, 2, 3]
    assert isinstance(error, SlowObjectError)
    assert (error.gid, error.changed_at) == ("gid://shopify/Customer/4", at(4))

    pages = list(Pager(client, CUSTOMERS, slow={error.gid}).changes(SINCE))
    assert [id_ for page in pages for id_ in ids(page.nodes)] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert pages[-1].read_up_to == at(8)


def test_ids_that_take_too_long_together_are_read_in_smaller_batches(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(43)}, cost_each=1, slow_above=10)
    pager = Pager(client, PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", first=250))
    batches = list(pager.by_id([f"gid://shopify/Customer/{n}" for n in range(43)]))
    assert [id_ for batch in batches for id_ in ids(batch)] == list(range(43))
    assert [len(asked["ids"]) for asked in listing.asked] == [43, 21, 10, 10, 10, 10, 3]


def test_of_ids_one_of_which_takes_too_long_all_others_come(shop: FakeShop, connect: Connect) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    shop.respond = Listing({n: at(n) for n in range(20)}, cost_each=1, slow=[7])
    gids = [f"gid://shopify/Customer/{n}" for n in range(20)]
    read, error = until_it_breaks_off(Pager(client, CUSTOMERS).by_id(gids))
    assert read == [n for n in range(20) if n != 7]
    assert isinstance(error, SlowObjectError)
    assert error.gid == gids[7]
    assert re.match(r"acme: CustomersById of gid://shopify/Customer/7 took Shopify too long .* later\.$", str(error))


def test_where_one_id_after_the_other_takes_too_long_it_is_the_store_that_does(
    shop: FakeShop, connect: Connect
) -> None:
    client = connect(retry_policy=RetryPolicy(deadline=10))
    shop.respond = Listing({n: at(n) for n in range(20)}, cost_each=1, slow=range(5, 20))
    gids = [f"gid://shopify/Customer/{n}" for n in range(20)]
    read, error = until_it_breaks_off(Pager(client, CUSTOMERS).by_id(gids))
    assert read == list(range(5))
    assert type(error) is TimedOutError


# --- paging that ends, and starts anew ---


def test_paging_starts_anew_before_it_would_end(
    shop: FakeShop, client: ShopifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "REANCHOR_AFTER", 20)
    shop.respond = listing = Listing({n: at(n) for n in range(100)}, limit=25, cost_each=200)
    pages = list(Pager(client, CUSTOMERS).changes(SINCE))
    assert sorted({id_ for page in pages for id_ in ids(page.nodes)}) == list(range(100))
    assert len({asked["query"] for asked in listing.asked}) >= 5


def test_the_room_between_starting_anew_and_the_end_holds_the_largest_page() -> None:
    assert pagination.REANCHOR_AFTER + MAX_PAGE <= 25_000


def test_objects_of_one_instant_are_told_apart_by_their_ids(
    shop: FakeShop, client: ShopifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import touches a hundred thousand products in one second: more than one paging holds."""
    monkeypatch.setattr(pagination, "REANCHOR_AFTER", 20)
    same = {n: at(10) for n in range(10, 110)}
    shop.respond = Listing({1: at(1), 2: at(2)} | same | {200: at(20)}, limit=25, cost_each=200)
    pages = list(Pager(client, CUSTOMERS).changes(SINCE))
    assert {id_ for page in pages for id_ in ids(page.nodes)} == {1, 2, *same, 200}
    assert pages[-1].read_up_to == at(20)


def test_an_object_that_changes_between_two_pages_comes_again_as_it_is_then(
    shop: FakeShop, client: ShopifyClient
) -> None:
    listing = Listing({n: at(n) for n in range(10)}, cost_each=400)
    listing.before_page = lambda page: listing.change(7, at(100)) if page == 3 else None
    shop.respond = listing
    nodes = [node for page in Pager(client, CUSTOMERS).changes(SINCE) for node in page.nodes]
    assert sorted(ids(nodes)) == list(range(10))
    assert nodes[-1]["updatedAt"] == "2026-05-01T00:01:40Z"


@given(
    gaps=st.lists(st.integers(0, 2), min_size=1, max_size=40),
    late=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 39), st.booleans()), max_size=12),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_counted_as_read_that_was_not(
    gaps: list[int], late: list[tuple[int, int, bool]], shop: FakeShop, client: ShopifyClient
) -> None:
    """Whatever changes in whatever page, seen by the search index or not: a crash after any page loses nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pagination, "REANCHOR_AFTER", 8)
        listing = Listing({n: at(sum(gaps[: n + 1])) for n in range(len(gaps))}, limit=10, cost_each=400)

        def change(page: int) -> None:
            for in_page, id_, seen in late:
                if in_page == page and id_ < len(gaps):
                    listing.change(id_, at(1000 + page), seen_by_index=seen)

        listing.before_page = change
        shop.respond = listing
        seen: set[int] = set()
        for page in Pager(client, CUSTOMERS).changes(SINCE):
            seen |= set(ids(page.nodes))
            unread = [when for id_, when in listing.indexed.items() if id_ not in seen]
            assert page.read_up_to is None or all(page.read_up_to <= when for when in unread)
        assert seen == set(range(len(gaps)))


# --- changes in the order of their ids ---


def test_a_read_by_id_counts_as_read_only_what_is_older_than_the_read_itself(
    shop: FakeShop, client: ShopifyClient, clock: FakeClock
) -> None:
    """What has a small id and changes during the read was passed already."""
    shop.respond = Listing({n: at(n) for n in range(20)}, cost_each=400)
    read = []
    for page in Pager(client, CHECKOUTS).changes(SINCE):
        read.append(page)
        clock.now += 60 if page.nodes else 0
    assert sorted(id_ for page in read for id_ in ids(page.nodes)) == list(range(1, 20))
    assert {page.read_up_to for page in read[:-1]} == {None}
    assert read[-1].read_up_to is not None
    assert read[-1].read_up_to <= at(19) - timedelta(seconds=60 * (len(read) - 1))


def test_a_read_by_id_starts_anew_before_paging_would_end(
    shop: FakeShop, client: ShopifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "REANCHOR_AFTER", 20)
    shop.respond = Listing({n: at(n % 3) for n in range(1, 100)}, limit=25, cost_each=200)
    pages = list(Pager(client, CHECKOUTS).changes(SINCE))
    assert [id_ for page in pages for id_ in ids(page.nodes)] == list(range(1, 100))


def test_a_search_starts_anew_before_paging_would_end(
    shop: FakeShop, client: ShopifyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "REANCHOR_AFTER", 20)
    shop.respond = Listing({n: at(n % 3) for n in range(1, 100)}, limit=25, cost_each=200)
    batches = list(Pager(client, CHECKOUTS).matching("updated_at:>='2026-05-01T00:00:00Z'"))
    assert [id_ for batch in batches for id_ in ids(batch)] == list(range(1, 100))


# --- odd pages ---


def page_of(numbers: list[int], *, more: bool, cursor: str | None) -> Answered:
    nodes = [{"id": f"gid://shopify/Customer/{n}", "updatedAt": at(n).isoformat()} for n in numbers]
    return data({"customers": {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": cursor}}})


def test_an_empty_page_with_a_next_one_is_passed_over(shop: FakeShop, client: ShopifyClient) -> None:
    shop.answer(page_of([], more=True, cursor="a"), page_of([5], more=False, cursor="b"))
    pages = list(Pager(client, CUSTOMERS).changes(SINCE))
    assert [ids(page.nodes) for page in pages if page.nodes] == [[5]]


@pytest.mark.parametrize("cursors", [(None,), ("a", "a")])
def test_a_next_page_without_a_new_cursor_is_an_error_and_no_endless_loop(
    cursors: tuple[str | None, ...], shop: FakeShop, client: ShopifyClient
) -> None:
    shop.answer(*(page_of([n], more=True, cursor=cursor) for n, cursor in enumerate(cursors)))
    with pytest.raises(MalformedResponseError, match="acme: CustomersPage promises a next page"):
        list(Pager(client, CUSTOMERS).changes(SINCE))


# --- by id ---


def test_any_number_of_ids_is_read_and_what_is_gone_left_out(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(700) if n % 7}, cost_each=0.1)
    gids = [f"gid://shopify/Customer/{n}" for n in range(700)]
    batches = list(Pager(client, CUSTOMERS).by_id(gids))
    assert [id_ for batch in batches for id_ in ids(batch)] == [n for n in range(700) if n % 7]
    assert max(len(asked["ids"]) for asked in listing.asked) == 250


def test_no_ids_cost_no_call(shop: FakeShop, client: ShopifyClient) -> None:
    assert list(Pager(client, CUSTOMERS).by_id([])) == []
    assert shop.asked == []


def test_a_small_batch_does_not_make_objects_look_cheap(shop: FakeShop, client: ShopifyClient) -> None:
    shop.respond = listing = Listing({n: at(n) for n in range(40)}, cost_each=100)
    pager = Pager(client, PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", first=8))
    list(pager.by_id(["gid://shopify/Customer/1"]))
    list(pager.by_id([f"gid://shopify/Customer/{n}" for n in range(40)]))
    assert max(len(asked["ids"]) for asked in listing.asked) == 8


# --- children ---


def order(**connections: Any) -> dict[str, Any]:
    empty = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    fields = {"__typename": "Order", "id": "gid://shopify/Order/1", "updatedAt": at(1).isoformat()}
    return fields | {"lineItems": empty, "agreements": empty} | connections


def children(*names: str, more: bool) -> dict[str, Any]:
    nodes = [{"__typename": "LineItem", "id": f"gid://shopify/LineItem/{name}"} for name in names]
    return {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": names[-1] if names else None}}


def test_a_parent_that_vanishes_before_its_children_are_read_is_an_error(shop: FakeShop, client: ShopifyClient) -> None:
    shop.answer(data({"nodes": [order(lineItems=children("1", more=True))]}), data({"order": None}))
    with pytest.raises(MalformedResponseError, match=r"OrderLineItems no longer finds gid://shopify/Order/1.*again"):
        list(Pager(client, ORDERS).by_id(["gid://shopify/Order/1"]))


def test_children_that_take_too_long_come_in_smaller_pages(shop: FakeShop, client: ShopifyClient) -> None:
    asked_for: list[int] = []

    def respond(asked: Asked) -> Answered:
        if asked.operation == "OrdersById":
            return data({"nodes": [order(lineItems=children("0", more=True))]})
        first, after = asked.variables["first"], int(asked.variables["after"])
        asked_for.append(first)
        if first > 30:
            return failure("TIMEOUT", "Timeout")
        names = [str(after + 1 + n) for n in range(min(first, 60 - after))]
        return data({"order": {"lineItems": children(*names, more=after + first < 60)}})

    shop.respond = respond
    ((whole,),) = Pager(client, ORDERS).by_id(["gid://shopify/Order/1"])
    assert [_number(line["id"]) for line in whole["lineItems"]] == list(range(61))
    assert asked_for == [100, 50, 25, 25, 25]


@pytest.mark.parametrize("cursor", ["stands still", None, 7])
def test_an_object_whose_children_have_no_further_cursor_is_left_to_loading_which_sets_it_aside(
    cursor: Any, shop: FakeShop, client: ShopifyClient
) -> None:
    first = children("1", more=True)
    second = first if cursor == "stands still" else {**first, "pageInfo": {"hasNextPage": True, "endCursor": cursor}}
    shop.answer(data({"nodes": [order(lineItems=first)]}), data({"order": {"lineItems": second}}))
    ((node,),) = Pager(client, ORDERS).by_id(["gid://shopify/Order/1"])
    assert node["lineItems"] == first
