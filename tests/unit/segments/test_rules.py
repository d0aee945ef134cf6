"""React Query Builder's JSON as a second notation of a query."""

from __future__ import annotations

import json

import pytest

from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.errors import SegmentQueryError
from xeno_pipeline.segments.rules import query_to_rules, rules_to_query
from xeno_pipeline.segments.starters import STARTERS

QUERIES = [
    "number_of_orders >= 5 AND (last_order_date < -90d OR rfm_group != 'AT_RISK')",
    "products_purchased NOT MATCHES (date >= -12m, id NOT IN (1, 2), count > 2)",
    "orders_placed MATCHES ()",
    "customer_tags NOT CONTAINS 'it\\'s, so'",
    "NOT net_sales BETWEEN 1.50 AND 3",
    "NOT (is_high_value = true OR NOT units = 3)",
    "customer_language NOT STARTS WITH 'en' AND first_order_date IS NOT NULL",
    *(starter.query for starter in STARTERS),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_becomes_rules_and_the_same_query_again(query: str) -> None:
    rules = json.loads(json.dumps(query_to_rules(query)))
    assert rules_to_query(rules) == query == compile_query(query).query


def test_what_builders_give_as_texts_is_understood() -> None:
    rules = {
        "id": "g-1",
        "combinator": "and",
        "rules": [
            {"id": "r-1", "field": "number_of_orders", "operator": ">=", "valueSource": "value", "value": "5"},
            {"field": "net_sales", "operator": "between", "value": "1.5,20"},
            {"field": "rfm_segment", "operator": "in", "value": "LOST, LOYAL"},
            {"field": "last_order_date", "operator": "<", "value": "2026-01-31"},
            {"field": "is_high_value", "operator": "=", "value": "true"},
            {"field": "first_order_date", "operator": "notNull", "value": None},
        ],
    }
    assert rules_to_query(rules) == (
        "number_of_orders >= 5 AND net_sales BETWEEN 1.5 AND 20 AND rfm_segment IN ('LOST', 'LOYAL') "
        "AND last_order_date < 2026-01-31 AND is_high_value = true AND first_order_date IS NOT NULL"
    )


def nested(levels: int) -> dict[str, object]:
    rules: dict[str, object] = {"field": "units", "operator": "=", "value": 1}
    for _ in range(levels):
        rules = {"combinator": "and", "rules": [rules]}
    return rules


RULE = {"field": "units", "operator": "=", "value": 1}


@pytest.mark.parametrize(
    "rules",
    [
        None,
        [],
        "units = 1",
        {},
        {"combinator": "and", "rules": []},
        {"combinator": "xor", "rules": [RULE]},
        {"combinator": "and", "not": "yes", "rules": [RULE]},
        {"combinator": "and", "rules": "units"},
        {"rules": [RULE, "and", RULE]},
        {"field": "units) or (true", "operator": "=", "value": 1},
        {"field": 1, "operator": "=", "value": 1},
        {"field": "units", "operator": "like", "value": 1},
        {"field": "units", "operator": ["="], "value": 1},
        {"field": "units", "operator": "=", "value": 1e300},
        {"field": "units", "operator": "=", "value": float("nan")},
        {"field": "units", "operator": "=", "value": 1 << 80},
        {"field": "units", "operator": "=", "value": {"a": 1}},
        {"field": "units", "operator": "=", "value": "net_sales", "valueSource": "field"},
        {"field": "units", "operator": "between", "value": [1, 2, 3]},
        {"field": "units", "operator": "in", "value": []},
        {"field": "units", "operator": "in", "value": [1] * 501},
        {"field": "orders_placed", "operator": "=", "match": {"mode": "atLeast", "threshold": 2}, "value": nested(1)},
        {"field": "orders_placed", "operator": "=", "match": {"mode": "some"}, "value": nested(3)},
        {"field": "orders_placed", "operator": "=", "match": {"mode": "some"}, "value": 1},
        {"combinator": "and", "rules": [RULE] * 11},
        nested(500),
    ],
)
def test_what_are_no_rules_is_refused(rules: object) -> None:
    with pytest.raises(SegmentQueryError):
        rules_to_query(rules)


def test_texts_that_no_query_can_hold_are_refused_when_compiled() -> None:
    rules = {"field": "customer_tags", "operator": "contains", "value": "\ud800"}
    with pytest.raises(SegmentQueryError):
        compile_query(rules_to_query(rules))
