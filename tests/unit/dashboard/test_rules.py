"""The builder's rows and the query's text say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.dashboard.rules import OPERATORS, TEXT_ROW, new_row, read_rows, rows_to_text, text_to_rows
from xeno_pipeline.segments.attributes import ATTRIBUTES
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.errors import SegmentQueryError


@pytest.mark.parametrize(
    "query",
    [
        "number_of_orders > 3",
        "number_of_orders > 3 AND net_sales >= 100.50",
        "rfm_segment IN ('CHAMPIONS', 'LOYAL') OR is_high_value = true",
        "last_order_date BETWEEN -90d AND -30d",
        "customer_language IS NULL AND customer_tags CONTAINS 'vip'",
        "customer_tags NOT CONTAINS 'vip'",
        "customer_language STARTS WITH 'pt'",
        "orders_placed MATCHES (date >= -90d, count > 2) AND net_sales > 1",
        "(number_of_orders > 3 OR net_sales > 1) AND NOT (number_of_orders = 5 AND net_sales > 2)",
    ],
)
def test_rows_of_a_text_are_that_text(query: str) -> None:
    rows, join = text_to_rows(query)
    again = compile_query(rows_to_text(rows, join))
    assert (again.query, again.bound) == (compile_query(query).query, compile_query(query).bound)


def test_each_attribute_begins_with_a_row_that_its_operators_fit() -> None:
    for name, attribute in ATTRIBUTES.items():
        row = new_row(name)
        assert row.operator in dict(OPERATORS[attribute.type])
        if row.is_complete:
            compile_query(rows_to_text([row], "and"))


def test_another_attribute_begins_its_row_again() -> None:
    fields = {"field.0": "rfm_segment", "was.0": "net_sales", "operator.0": ">", "value.0": "5", "join": "or"}
    rows, join = read_rows(fields)
    assert (rows, join) == ([new_row("rfm_segment")], "or")


def test_incomplete_rows_are_left_out() -> None:
    assert rows_to_text([new_row("net_sales"), new_row("is_high_value")], "and") == "is_high_value = true"
    assert rows_to_text([], "and") == ""


_FIELDS = st.sampled_from([*ATTRIBUTES, TEXT_ROW, "nonsense"])
_NAMES = [name for kinds in OPERATORS.values() for name, _ in kinds]


@given(st.lists(st.tuples(_FIELDS, st.sampled_from(_NAMES) | st.text(max_size=5), st.text(max_size=20)), max_size=4))
def test_whatever_rows_say_there_is_a_text_or_a_reason(given_rows: list[tuple[str, str, str]]) -> None:
    fields = {}
    for number, (name, operator, value) in enumerate(given_rows):
        fields |= {f"field.{number}": name, f"operator.{number}": operator, f"value.{number}": value}
    rows, join = read_rows(fields)
    try:
        text = rows_to_text(rows, join)
        query = compile_query(text).query if text else None
    except SegmentQueryError:
        return
    if query:
        assert compile_query(rows_to_text(*text_to_rows(query))).query == query
