"""However often, in whatever order and in whatever portions objects are loaded, raw ends with the newest of each."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.installation import Installation
from tests.support.nodes import OPENED, at, order, product
from tests.support.raw_tables import ALL_GONE, Warehouse, counted, register
from xeno_pipeline.extraction.state import advance_cursor, load_state, remember_bulk_operation
from xeno_pipeline.raw.completeness import Completeness, TooManyDeletionsError
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import Refuse, RowMapping
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import ORDERS, PRODUCTS

ALL_SEEN = Completeness()


@pytest.fixture
def warehouse(installation: Installation) -> Warehouse:
    """An empty warehouse of a tenant."""
    return register(installation, "acme")


def test_loading_the_same_again_writes_nothing(warehouse: Warehouse) -> None:
    whole = order(1, 5, lines=[10, 11], ledger={"1": ["100", "101"]}, refunds=[7])
    warehouse.load(ORDERS, whole)
    before = warehouse.installation.row_versions()
    warehouse.noted()

    assert counted(warehouse.load(ORDERS, whole)) == (0, 0, 0)

    assert warehouse.installation.row_versions() == before
    assert warehouse.noted() == set()


def test_a_newer_version_replaces_an_older_one(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10]))

    assert counted(warehouse.load(PRODUCTS, product(1, 6, [10]))) == (0, 2, 0)
    assert warehouse.products() == {1: ("as of 6", {10})}


def test_an_older_version_never_replaces_a_newer_one_nor_its_children(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 6, [10, 11]))
    before = warehouse.installation.raw()

    assert counted(warehouse.load(PRODUCTS, product(1, 5, [10, 12]))) == (0, 0, 0)
    assert warehouse.installation.raw() == before


def test_of_the_same_time_but_with_other_content_the_later_read_wins(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, title="before"))

    assert counted(warehouse.load(PRODUCTS, product(1, 5, title="after"))) == (0, 1, 0)
    assert warehouse.column("products", "title") == {"after"}


def test_a_row_read_by_another_query_is_written_anew(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), version=1)

    assert counted(warehouse.load(PRODUCTS, product(1, 5), version=2)) == (0, 1, 0)
    assert warehouse.column("products", "query_version") == {2}


def test_children_are_replaced_as_a_set(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10, 11]), product(2, 5, [20]))

    assert counted(warehouse.load(PRODUCTS, product(1, 6, [11, 12]))) == (1, 2, 1)
    assert warehouse.products() == {1: ("as of 6", {11, 12}), 2: ("as of 5", {20})}


def test_a_child_that_is_gone_is_taken_away_even_when_its_parent_says_nothing_of_it(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10, 11]))

    assert counted(warehouse.load(PRODUCTS, product(1, 5, [10]))) == (0, 0, 1)
    assert warehouse.noted() == {0, 1}


def test_grandchildren_go_with_their_parents_and_without(warehouse: Warehouse) -> None:
    warehouse.load(ORDERS, order(1, 5, ledger={"1": ["100", "101"], "2": ["200"]}), order(2, 5, ledger={"3": ["300"]}))

    counts = warehouse.load(ORDERS, order(1, 6, ledger={"1": ["100"]}))

    assert (counts["order_agreements"].deleted, counts["order_sales"].deleted) == (1, 2)
    assert {gid.rpartition("/")[2] for gid in warehouse.column("order_sales", "id")} == {"100", "300"}


def test_a_child_that_moved_to_another_parent_is_there_once(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10]), product(2, 5, [20]))

    warehouse.load(PRODUCTS, product(1, 6, []), product(2, 6, [10, 20]))

    assert warehouse.products() == {1: ("as of 6", set()), 2: ("as of 6", {10, 20})}


def test_an_object_that_came_twice_in_one_load_is_there_once(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10]), product(2, 5), product(1, 6, [10]))
    assert warehouse.products() == {1: ("as of 6", {10}), 2: ("as of 5", set())}

    warehouse.load(PRODUCTS, product(1, 7, [10]), product(1, 8, [10]))
    assert warehouse.products()[1] == ("as of 8", {10})


def test_what_a_complete_read_lacks_is_marked_as_gone_and_noted(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, *(product(number, 5) for number in range(1, 201)))
    warehouse.noted()

    counts = warehouse.load(PRODUCTS, *(product(number, 5) for number in range(3, 201)), complete=ALL_SEEN)

    assert counts["products"].deleted == 2
    assert warehouse.gone() == warehouse.noted() == {1, 2}


def test_what_comes_back_is_no_longer_marked_as_gone(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), product(2, 5))
    warehouse.load(PRODUCTS, product(2, 5), complete=ALL_GONE)
    assert warehouse.gone() == {1}
    warehouse.noted()

    later = _minutes_from_now(1)
    warehouse.load(PRODUCTS, product(1, 5), read_at=later)

    assert warehouse.gone() == set()
    assert warehouse.noted() == {1}


def test_what_was_read_before_it_was_seen_to_be_gone_does_not_bring_it_back(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), product(2, 5))
    warehouse.load(PRODUCTS, product(2, 5), complete=ALL_GONE)

    warehouse.load(PRODUCTS, product(1, 5), read_at=900)

    assert warehouse.gone() == {1}


def test_what_was_created_after_a_complete_read_began_is_not_gone(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), product(2, 50, createdAt=at(50)))

    warehouse.load(PRODUCTS, product(1, 5), read_at=40, complete=ALL_GONE)

    assert warehouse.gone() == set()


def test_what_a_complete_read_has_seen_is_not_gone_however_old_it_is_there(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5, [10]), product(2, 5), product(3, 5))
    warehouse.load(PRODUCTS, product(1, 20, [11]), read_at=21)
    seen_before = [product(1, 5, [10]), product(2, 5)]

    counts = warehouse.load(PRODUCTS, *seen_before, read_at=1000, complete=ALL_GONE)

    assert warehouse.gone() == {3}
    assert counted(counts) == (0, 0, 1)
    assert warehouse.products()[1] == ("as of 20", {11})


def test_what_changed_after_a_complete_read_began_is_not_gone_though_it_was_not_seen(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), product(2, 5))
    warehouse.load(PRODUCTS, product(1, 30))

    warehouse.load(PRODUCTS, product(2, 5), read_at=20, complete=ALL_GONE)

    assert warehouse.gone() == set()


def test_what_was_created_while_the_index_lagged_is_not_gone(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 18, createdAt=at(18)), product(2, 5))

    warehouse.load(PRODUCTS, product(2, 5), read_at=20, complete=ALL_GONE)
    assert warehouse.gone() == set()

    warehouse.load(PRODUCTS, product(2, 5), read_at=30, complete=ALL_GONE)
    assert warehouse.gone() == {1}


def test_what_a_complete_read_has_seen_does_not_count_as_too_many_that_are_gone(warehouse: Warehouse) -> None:
    """Ten of two hundred changed while the store was read, as in a busy one."""
    warehouse.load(PRODUCTS, *(product(number, 5) for number in range(1, 201)))
    warehouse.load(PRODUCTS, *(product(number, 20) for number in range(1, 11)))

    warehouse.load(PRODUCTS, *(product(number, 5) for number in range(1, 201)), read_at=1000, complete=ALL_SEEN)

    assert warehouse.gone() == set()


def test_what_the_token_could_not_see_is_not_gone(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5), product(2, 50, createdAt=at(50)))
    since = OPENED + timedelta(minutes=30)

    warehouse.load(PRODUCTS, complete=Completeness(visible_since=since, accept=True))

    assert warehouse.gone() == {2}


def test_when_more_than_one_per_cent_would_go_it_asks_and_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, *(product(number, 5) for number in range(1, 101)))
    before = warehouse.installation.row_versions()
    left = [product(number, 6) for number in range(3, 101)]

    with pytest.raises(TooManyDeletionsError, match=r"^acme: 2 of 100 products are no longer .* --accept-deletions\.$"):
        warehouse.load(PRODUCTS, *left, complete=ALL_SEEN)
    assert warehouse.installation.row_versions() == before

    warehouse.load(PRODUCTS, *left, complete=ALL_GONE)
    assert warehouse.gone() == {1, 2}


def test_several_loads_share_a_transaction(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 0))
    warehouse.load(ORDERS, order(1, 0))
    with warehouse.installation.database.connect() as connection:
        for root, node in ((PRODUCTS, product(1, 1)), (ORDERS, order(1, 1)), (PRODUCTS, product(2, 1))):
            load = Load(warehouse.tenant_id, root, OPENED + timedelta(minutes=2000))
            load.run(connection, RowMapping(root, warehouse.tenant_id, warehouse.version).of_objects([node]))
    assert set(warehouse.products()) == {1, 2}
    assert warehouse.query("select updated_at from raw.orders where tenant_id = %s") == [
        (OPENED + timedelta(minutes=1),)
    ]


def test_one_tenants_load_touches_no_other_tenant(warehouse: Warehouse) -> None:
    other = register(warehouse.installation, "other")
    other.load(PRODUCTS, product(1, 5, [10]), product(2, 5))
    before = other.products()

    warehouse.load(PRODUCTS, product(1, 9, [10, 11]))
    warehouse.load(PRODUCTS, product(3, 9), complete=ALL_GONE)

    assert other.products() == before
    assert other.gone() == set()


def test_a_load_that_breaks_off_leaves_nothing_and_moves_no_cursor(warehouse: Warehouse) -> None:
    warehouse.load(PRODUCTS, product(1, 5))
    with warehouse.installation.database.connect() as connection:
        remember_bulk_operation(connection, "acme", "products", None)
    before = warehouse.installation.row_versions()

    def breaking_off(suppressed: Suppressed, refuse: Refuse) -> Generator[Batch, None, None]:
        yield from RowMapping(PRODUCTS, "acme", 1).of_objects([product(1, 6), product(2, 6)])(suppressed, refuse)
        raise ConnectionResetError

    def load() -> None:
        with warehouse.installation.database.connect() as connection:
            advance_cursor(connection, "acme", "products", OPENED)
            Load("acme", PRODUCTS, OPENED).run(connection, breaking_off)

    with pytest.raises(ConnectionResetError):
        load()

    assert warehouse.installation.row_versions() == before
    with warehouse.installation.database.connect() as connection:
        assert load_state(connection, "acme", "products").cursor_at is None


@pytest.mark.parametrize("first", [True, False], ids=["first load", "merge"])
def test_texts_arrive_as_they_are_but_for_the_nul_that_postgres_cannot_hold(warehouse: Warehouse, first: bool) -> None:
    if not first:
        warehouse.load(PRODUCTS, product(1, 4))
    odd = 'tab\t line\n return\r back\\slash \\N \\. quote" {brace} 日本 🧦 null\x00byte \\u0000'

    warehouse.load(PRODUCTS, product(1, 5, title=odd, tags=[odd, "", "NULL", 'a"b,c']))

    whole = odd.replace("\x00", "")
    ((title, tags, payload),) = warehouse.query("select title, tags, payload from raw.products where tenant_id = %s")
    assert title == payload["title"] == whole
    assert tags == payload["tags"] == [whole, "", "NULL", 'a"b,c']


_handles = (f"tenant-{number}" for number in count())
_products = st.integers(1, 3)
_versions = st.tuples(_products, st.integers(1, 6))
"""A product, and the minute as of which it was read."""


@pytest.mark.thorough
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(st.lists(st.lists(_versions, min_size=1, max_size=4, unique_by=lambda version: version[0]), max_size=6))
def test_any_interleaving_of_loads_ends_with_the_newest_of_each(
    installation: Installation, loads: Sequence[Sequence[tuple[int, int]]]
) -> None:
    warehouse = register(installation, next(_handles))

    for load in loads:
        warehouse.load(PRODUCTS, *(product(number, minute, _variants(number, minute)) for number, minute in load))

    newest: dict[int, int] = {}
    for number, minute in (version for load in loads for version in load):
        newest[number] = max(minute, newest.get(number, 0))
    assert warehouse.products() == {
        number: (f"as of {minute}", set(_variants(number, minute))) for number, minute in newest.items()
    }
    assert len(warehouse.column("product_variants", "id")) == sum(len(_variants(*v)) for v in newest.items())


def _variants(number: int, minute: int) -> list[int]:
    """The variants that a product has as of a minute: other ones at other times, sometimes none."""
    return [10 * number + place for place in range(4) if minute >> place & 1]


def _minutes_from_now(minutes: int) -> int:
    """That many minutes from the present, which is what a tombstone is dated with."""
    return int((datetime.now(UTC) - OPENED).total_seconds() / 60) + minutes
