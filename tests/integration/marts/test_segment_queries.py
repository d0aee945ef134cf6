"""Queries made at random: each is refused with a position, or answers as an evaluation in Python does."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.marts.store import OPENED, Store
from tests.support.marts.warehouse import Warehouse
from tests.support.segment_queries import KINDS, PARAMETERS, Made, Person, noise, queries
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.segments.attributes import ATTRIBUTES, FUNCTIONS
from xeno_pipeline.segments.compile import CompiledQuery, compile_query
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.members import bind_matching, count_members, select_matching
from xeno_pipeline.segments.rules import query_to_rules, rules_to_query

pytestmark = pytest.mark.timeout(1800)

QUERIES = int(os.environ.get("XENO_TEST_QUERIES", "3000"))
_QUICK, _THOROUGH = 120, 600
COUNTS = [
    _QUICK,
    pytest.param(_THOROUGH, marks=pytest.mark.thorough),
    pytest.param(QUERIES, marks=pytest.mark.slow),
]
"""Making a query takes longer than answering it, so that fewer statements would save little."""

_TAGS = ("vip", "VIP", "wholesale", "it's", "100%", "back\\slash", "%s")


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[..., Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    warehouse.register([("acme", "UTC", "EUR")])
    return warehouse


@pytest.fixture(scope="module")
def people(warehouse: Warehouse) -> list[Person]:
    """The customers of a store whose marts are made, as the evaluation in Python sees them."""
    store = _store()
    store.load(warehouse)
    warehouse.transform()
    return _people(warehouse, store)


@pytest.fixture(scope="module")
def products(people: list[Person]) -> list[int]:
    return sorted({line["id"] for person in people for line in person.lines if line["id"]})


@pytest.mark.parametrize("count", COUNTS)
def test_queries_answer_as_an_independent_evaluation(
    warehouse: Warehouse, people: list[Person], products: list[int], count: int
) -> None:
    answers: defaultdict[str, int] = defaultdict(int)
    with warehouse.database.connect(autocommit=True) as connection:
        connection.execute("set search_path = marts")

        @_drawn(count)
        @given(queries(products))
        def answer(made: Made) -> None:
            compiled = _compiled_or_error(made.text)
            if isinstance(compiled, SegmentQueryError):
                assert str(compiled).startswith("A query has at most 10 clauses")
                answers["too long"] += 1
                return
            today = datetime.now(UTC).date()
            expected = [person.customer_id for person in people if made.fits(person, today)]
            assert _matching(connection, compiled) == expected, (made.text, compiled.condition)
            assert compile_query(compiled.query) == compiled
            assert rules_to_query(query_to_rules(made.text)) == compiled.query
            _assert_own_words(compiled.condition, made.text)
            answers["all" if len(expected) == len(people) else "some" if expected else "none"] += 1

        answer()
    assert answers["some"] > count / 3, answers


@pytest.mark.parametrize("count", COUNTS)
def test_noise_is_refused_with_a_position_or_answers(warehouse: Warehouse, people: list[Person], count: int) -> None:
    refused = 0
    with warehouse.database.connect(autocommit=True) as connection:
        connection.execute("set search_path = marts")

        @_drawn(count)
        @given(noise() | _damaged(queries([1])))
        def answer(text: str) -> None:
            nonlocal refused
            compiled = _compiled_or_error(text)
            if isinstance(compiled, SegmentQueryError):
                assert 0 <= compiled.position <= len(text)
                assert compiled.pointed_at(text).endswith("^")
                refused += 1
                return
            members = count_members(connection, "acme", compiled)
            assert 0 <= members.customers <= members.all_customers == len(people)
            _assert_own_words(compiled.condition, text)

        answer()
    assert refused > count / 3


def test_the_evaluation_knows_every_attribute() -> None:
    assert set(KINDS) == set(ATTRIBUTES)
    assert {name: set(known) for name, known in PARAMETERS.items()} == {
        name: set(function.parameters) for name, function in FUNCTIONS.items()
    }


def _matching(connection: Connection, compiled: CompiledQuery) -> list[int]:
    rows = connection.execute(f"{select_matching(compiled)} order by c.customer_id", bind_matching("acme", compiled))
    return [customer_id for (customer_id,) in rows]


def _compiled_or_error(query: str) -> CompiledQuery | SegmentQueryError:
    try:
        return compile_query(query)
    except SegmentQueryError as error:
        return error


def _drawn(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many examples, the same in every run."""
    options: dict[str, Any] = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
    return lambda test: seed(20261127)(settings(max_examples=count, phases=[Phase.generate], **options)(test))


def _damaged(made: st.SearchStrategy[Made]) -> st.SearchStrategy[str]:
    def damage(query: Made, at: int, length: int, instead: str) -> str:
        at %= len(query.text)
        return query.text[:at] + instead + query.text[at + length :]

    return st.builds(damage, made, st.integers(0, 500), st.integers(0, 4), st.text(max_size=3))


def _assert_own_words(condition: str, query: str) -> None:
    """No text and no number of the query is in its condition."""
    of_the_user = re.findall(r"[qxzwjk]{9,}|[0-9]{3,}", query)
    without_columns = re.sub(r"\bc\.\w+", "", condition)  # some are named after a number of days
    assert [text for text in of_the_user if text in without_columns] == []
    assert "%" not in condition
    assert re.findall(r"'([^']*)'", condition) == [
        text for text in re.findall(r"'([^']*)'", condition) if re.fullmatch(r"v[0-9]+|@|", text)
    ]


def _store() -> Store:
    """A store with customers of every kind, whose orders lie between a year ago and today."""
    store = Store("acme")
    now = int((datetime.now(UTC) - OPENED).total_seconds() // 3600)
    products = [store.add_product() for _ in range(4)]
    for number in range(40):
        customer = store.add_customer(
            locale=("en", "de", "pt-BR", None)[number % 4],
            state=("ENABLED", "DISABLED", "INVITED")[number % 3],
            tags=[tag for place, tag in enumerate(_TAGS) if number >> place & 1],
            defaultAddress=({"countryCodeV2": "DE"}, {"countryCodeV2": "US"}, None)[number % 3],
            defaultEmailAddress=(
                {"emailAddress": f"{number}@Example.com", "marketingState": "SUBSCRIBED"},
                {"emailAddress": f"{number}@mail.test", "marketingState": "NOT_SUBSCRIBED"},
                None,
            )[number % 3],
            statistics=({"rfmGroup": "LOYAL"}, {"rfmGroup": "PROSPECTS"}, None, {"rfmGroup": None})[number % 4],
            createdAt=datetime.fromtimestamp(OPENED.timestamp() + 3600 * (now - 211 * number), UTC).isoformat(),
        )
        for order in range(number % 7):
            hour = now - (number * 53 + order * 577) % 8760
            placed = store.place_order(customer, hour, product=products[(number + order) % 4], price=f"{9 + order}.50")
            if (number + order) % 5 == 0:
                store.refund(placed, hour)
            if (number + order) % 11 == 0:
                store.cancel(placed, hour)
            if (number + order) % 4 == 0:
                store.edit_order(placed, hour, products[number % 4])
        if number % 4 == 1:
            store.leave_checkout(customer, now - 97 * number)
            store.leave_checkout(customer, now - 89 * number)
    return store


def _people(warehouse: Warehouse, store: Store) -> list[Person]:
    with warehouse.database.connect() as connection:
        customers = _rows(connection, "select * from marts.dim_customers order by customer_id")
        orders = _rows(connection, "select * from marts.fct_orders where is_counted")
        lines = _rows(
            connection,
            "select lines.*, orders.customer_id from marts.fct_order_lines lines "
            "join marts.fct_orders orders using (tenant_id, order_id) where orders.is_counted",
        )
    checkouts: defaultdict[str, list[date]] = defaultdict(list)
    for checkout in store.checkouts.values():
        checkouts[checkout["customer"]["id"]].append(datetime.fromisoformat(checkout["createdAt"]).date())
    return [
        Person(
            customer["customer_id"],
            _facts(customer, store.customers[customer["customer_id"]], checkouts),
            tuple(
                {"order": order["order_id"], "date": order["ordered_on"], "amount": order["total_sales"]}
                for order in orders
                if order["customer_id"] == customer["customer_id"]
            ),
            tuple(
                {
                    "order": line["order_id"],
                    "date": line["ordered_on"],
                    "id": line["product_id"],
                    "quantity": line["quantity"],
                }
                for line in lines
                if line["customer_id"] == customer["customer_id"]
            ),
        )
        for customer in customers
    ]


def _facts(customer: dict[str, Any], node: dict[str, Any], checkouts: dict[str, list[date]]) -> dict[str, Any]:
    """By attribute: figures from the marts, everything else from what Shopify said."""
    email = node["defaultEmailAddress"]
    renamed = {
        "number_of_orders": "orders_count",
        "amount_spent": "total_sales",
        "first_order_date": "first_order_on",
        "last_order_date": "last_order_on",
    }
    shopifys = {
        "abandoned_checkout_date": max(checkouts[node["id"]], default=None),
        "customer_account_status": node["state"],
        "customer_added_date": datetime.fromisoformat(node["createdAt"]).date(),
        "customer_countries": [node["defaultAddress"]["countryCodeV2"]] if node["defaultAddress"] else [],
        "customer_email_domain": email and email["emailAddress"].split("@")[1],
        "customer_language": node["locale"],
        "customer_tags": node["tags"],
        "email_subscription_status": email and email["marketingState"],
        "rfm_group": (node["statistics"] or {}).get("rfmGroup"),
    }
    return {name: shopifys[name] if name in shopifys else customer[renamed.get(name, name)] for name in KINDS}


def _rows(connection: Connection, statement: str) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement).fetchall()
