"""docs/use/segments.md says of attributes, functions and limits what the code does."""

from __future__ import annotations

import json
import re

from xeno_pipeline.segments.attributes import ATTRIBUTES, FUNCTIONS, UNSERVED, Attribute
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.parse import MOST_CHARACTERS, MOST_CLAUSES, MOST_VALUES
from xeno_pipeline.segments.registry import MOST_SEGMENTS
from xeno_pipeline.segments.rules import rules_to_query
from xeno_pipeline.settings import PROJECT_DIR

PAGE = (PROJECT_DIR / "docs" / "use" / "segments.md").read_text()


def _row(name: str, attribute: Attribute) -> str:
    values = f" One of {', '.join(f'`{value}`' for value in attribute.values)}." if attribute.values else ""
    personal = " Personal." if attribute.is_personal else ""
    return f"| `{name}` | {attribute.type} | {attribute.description}{values}{personal} |"


def test_every_attribute_is_in_its_table_as_it_is() -> None:
    tables = re.findall(r"\| attribute \|.*?\n\|---\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    expected = [
        [_row(name, attribute) for name, attribute in sorted(ATTRIBUTES.items()) if attribute.is_shopifys is shopifys]
        for shopifys in (True, False)
    ]
    assert [table.splitlines() for table in tables] == expected


def test_every_parameter_of_every_function_is_in_the_table() -> None:
    for function, known in FUNCTIONS.items():
        for name, parameter in known.parameters.items():
            assert f"| `{function}` | `{name}` | {parameter.type} | {parameter.description} |" in PAGE


def test_all_that_shopify_has_and_is_not_served_is_said() -> None:
    for name, why in UNSERVED.items():
        assert f"| `{name}` | {why} |" in PAGE
    for function, known in FUNCTIONS.items():
        for name, why in known.unserved.items():
            assert f"| `{name}` of `{function}` | {why} |" in PAGE


def test_the_examples_are_queries() -> None:
    (examples,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for query in examples.splitlines():
        assert compile_query(query).query == query
    (rules,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert rules_to_query(json.loads(rules)) == "number_of_orders >= 5 AND orders_placed NOT MATCHES (date >= -90d)"


def test_the_limits_are_those_of_the_code() -> None:
    limits = (
        f"{MOST_CLAUSES} clauses and {MOST_VALUES} values in a list, as at Shopify; {MOST_CHARACTERS:,} characters."
    )
    assert f"{limits} A tenant has up to {MOST_SEGMENTS} segments." in PAGE
