"""The language: what is understood, and what is said of the rest."""

from __future__ import annotations

import pytest

from xeno_pipeline.segments.attributes import ATTRIBUTES, FUNCTIONS
from xeno_pipeline.segments.compile import OPERATORS, compile_query
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.parse import parse_query
from xeno_pipeline.segments.starters import STARTERS
from xeno_pipeline.segments.tree import All, AnyOf, Clause, Not, Operator, Value


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("number_of_orders>=5", "number_of_orders >= 5"),
        ("Number_Of_Orders <> +5 and (( net_sales < -1 ))", "number_of_orders != 5 AND net_sales < -1"),
        ("units = 1 OR units = 2 AND units = 3", "units = 1 OR units = 2 AND units = 3"),
        ("(units = 1 OR units = 2) AND units = 3", "(units = 1 OR units = 2) AND units = 3"),
        ("units = 1 AND (units = 2 AND units = 3)", "units = 1 AND units = 2 AND units = 3"),
        ("NOT (NOT units = 1)", "units = 1"),
        ("not (units = 1 or units = 2)", "NOT (units = 1 OR units = 2)"),
        ("last_order_date >= 30_days_ago", "last_order_date >= -30d"),
        ("last_order_date BETWEEN '2026-01-31' AND TODAY", "last_order_date BETWEEN 2026-01-31 AND today"),
        ("last_order_date > -1D", "last_order_date > yesterday"),
        ("customer_tags CONTAINS 'it''s \\'so\\' \\\\'", "customer_tags CONTAINS 'it\\'s \\'so\\' \\\\'"),
        ("rfm_segment NOT IN ('LOST','LOYAL')", "rfm_segment NOT IN ('LOST', 'LOYAL')"),
        ("first_order_date is not null", "first_order_date IS NOT NULL"),
        ("products_purchased matches ( )", "products_purchased MATCHES ()"),
        (
            "orders_placed NOT MATCHES (amount > 10, date >= -12m)",
            "orders_placed NOT MATCHES (amount > 10, date >= -12m)",
        ),
        ("is_high_value = TRUE", "is_high_value = true"),
    ],
)
def test_a_query_has_a_canonical_text(query: str, canonical: str) -> None:
    assert compile_query(query).query == canonical
    assert compile_query(canonical).query == canonical


def test_and_binds_closer_than_or() -> None:
    one, two, three = (Clause("units", Operator.EQUAL, (Value(number),)) for number in (1, 2, 3))
    assert parse_query("units = 1 OR units = 2 AND units = 3") == AnyOf((one, All((two, three))))
    assert parse_query("NOT units = 1 OR units = 2") == AnyOf((Not(one), two))


@pytest.mark.parametrize(
    ("query", "position", "text"),
    [
        ("", 0, "The query is empty"),
        ("   ", 0, "The query is empty"),
        ("WHERE units = 1", 0, "Leave out WHERE"),
        ("FROM customers SHOW email", 0, "Leave out FROM"),
        ("units = 1 AND", 13, "where the query ends"),
        ("units == 1", 7, "instead of ="),
        ('customer_tags CONTAINS "vip"', 23, "single quotes"),
        ("customer_tags CONTAINS 'vip", 23, "no closing quote"),
        ("units = 1; drop table x", 9, "without a semicolon"),
        ("units = 1 && units = 2", 10, "AND"),
        ("units = 1e5", 8, "another value"),
        ("number_of_order > 1", 0, "did you mean number_of_orders?"),
        ("units = 1 AND nonsense_here = 1", 14, "There is no attribute nonsense_here."),
        ("rfm_segment = 'Champion'", 14, "did you mean 'CHAMPIONS'?"),
        ("rfm_group != 'at risk'", 13, "did you mean 'AT_RISK'?"),
        ("rfm_segment = 'zzz'", 14, "It is one of CHAMPIONS"),
        ("units = 'x'", 8, "a whole number"),
        ("units = 1.5", 8, "a whole number"),
        ("units = true", 8, "a whole number"),
        ("net_sales = true", 12, "a number"),
        ("is_high_value = 1", 16, "true or false"),
        ("last_order_date < 90", 18, "a day such as 2026-01-31, -30d or today"),
        ("last_order_date < 12026-01-01", 18, "is no day"),
        ("last_order_date < 2026-02-30", 18, "is no day"),
        ("last_order_date < '2026-1-1'", 18, "is no day"),
        ("last_order_date > 2026-01-01T10:00:00", 18, "days are whole"),
        ("last_order_date < -36601d", 18, "at most 100 years"),
        ("last_order_date < -99999999999999999999999d", 18, "at most 100 years"),
        ("units = 9223372036854775808", 8, "too large"),
        (f"units = {'9' * 5000}", 8, "too large"),
        (f"net_sales = {'9' * 17}.0", 12, "16 digits"),
        (f"net_sales = {'9' * 17}", 12, "a number"),
        ("units CONTAINS 1", 0, "CONTAINS is not for it"),
        ("customer_tags = 'vip'", 0, "it takes IS NULL, CONTAINS"),
        ("customer_tags CONTAINS 'a\0b'", 25, "no NUL"),
        ("customer_tags CONTAINS '\ud800'", 24, "half of a character"),
        (f"customer_tags CONTAINS '{'x' * 256}'", 23, "255 characters"),
        ("x" * 20001, 20000, "20,000 characters"),
        (" AND ".join(["units = 1"] * 11), 140, "at most 10 clauses"),
        (f"units IN ({', '.join(['1'] * 501)})", 1510, "at most 500 values"),
        ("orders_placed = 1", 0, "is a function"),
        ("units MATCHES ()", 0, "is no function"),
        ("order_placed MATCHES ()", 0, "did you mean orders_placed?"),
        ("orders_placed MATCHES (dat = today)", 23, "did you mean date?"),
        ("orders_placed MATCHES (date > -1m, date < today)", 35, "BETWEEN"),
        ("orders_placed MATCHES (count = 0)", 23, "NOT MATCHES"),
        ("orders_placed MATCHES (count < 1)", 23, "NOT MATCHES"),
        ("orders_placed MATCHES (app_id = 1)", 23, "is not served here"),
        ("products_purchased MATCHES (tag = 'x')", 28, "no tags of products"),
        ("customer_cities CONTAINS 'US-NY-NewYorkCity'", 0, "Shopify's customer_cities is not served here"),
        ("shopify_email.opened MATCHES (activity_id = 1)", 0, "is not served here"),
        ("customer.metafields.facts.x = 1", 0, "no metafields"),
        ("anniversary('metafields.facts.birth_date') = today", 11, "Expected"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(query: str, position: int, text: str) -> None:
    with pytest.raises(SegmentQueryError) as caught:
        compile_query(query)
    assert text in str(caught.value)
    assert caught.value.position == position


def test_a_caret_points_at_the_place_in_its_line() -> None:
    query = "units = 1\n\tAND nonsense = 2"
    with pytest.raises(SegmentQueryError) as caught:
        compile_query(query)
    assert caught.value.pointed_at(query) == "\tAND nonsense = 2\n\t    ^"


@pytest.mark.parametrize("query", ["(" * 9000 + "units = 1" + ")" * 9000, "NOT " * 4000 + "units = 1"])
def test_no_depth_of_nesting_exhausts_the_stack(query: str) -> None:
    assert compile_query(query).query == "units = 1"


def test_nothing_of_the_query_is_in_the_condition() -> None:
    compiled = compile_query("customer_tags CONTAINS 'quokka' AND units IN (8675309, 2) AND net_sales > 86753.09")
    assert set(compiled.bound.values()) == {"quokka", 8675309, 2, "86753.09"}
    assert "quokka" not in compiled.condition
    assert "8675" not in compiled.condition


@pytest.mark.parametrize(
    ("query", "is_dated", "uses_personal", "is_shopifys"),
    [
        ("number_of_orders > 1", False, False, True),
        ("last_order_date > 2026-01-01", False, False, True),
        ("last_order_date > -30d", True, False, True),
        ("orders_placed NOT MATCHES (date >= today)", True, False, True),
        ("is_churn_risk = true", True, False, False),
        ("customer_email_domain = 'example.com' OR rfm_segment = 'LOST'", False, True, False),
    ],
)
def test_what_is_known_of_a_query(query: str, is_dated: bool, uses_personal: bool, is_shopifys: bool) -> None:
    compiled = compile_query(query)
    assert (compiled.is_dated, compiled.uses_personal, compiled.is_shopifys) == (is_dated, uses_personal, is_shopifys)


def test_every_attribute_has_operators_and_a_description() -> None:
    parameters = [attribute for function in FUNCTIONS.values() for attribute in function.parameters.values()]
    for attribute in [*ATTRIBUTES.values(), *parameters]:
        assert OPERATORS[attribute.type]
        assert attribute.description.endswith(".")


def test_the_starters_are_queries() -> None:
    for starter in STARTERS:
        assert compile_query(starter.query).query == starter.query
