"""Segment queries made at random, and an evaluation that shares nothing with the product's: no parser, no SQL."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Person:
    """What is known of a customer: by attribute, and of each order and each line of one."""

    customer_id: int
    facts: Facts
    orders: tuple[Facts, ...] = ()
    lines: tuple[Facts, ...] = ()


@dataclass(frozen=True)
class Offset:
    """A day relative to today."""

    amount: int
    unit: str

    def day(self, today: date) -> date:
        if self.unit in "dw":
            return today + timedelta(days=self.amount * (7 if self.unit == "w" else 1))
        months = today.year * 12 + today.month - 1 + self.amount * (12 if self.unit == "y" else 1)
        year, month = divmod(months, 12)
        return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


@dataclass(frozen=True)
class Made:
    """A query: its text, and whether a person fits it on a day."""

    text: str
    fits: Callable[[Person, date], bool] = field(compare=False)


KINDS: dict[str, str] = {
    "abandoned_checkout_date": "date",
    "amount_spent": "decimal",
    "average_days_between_orders": "decimal",
    "average_order_value": "decimal",
    "churn_segment": "enum HIGH_VALUE_ACTIVE STANDARD NEW_CUSTOMER",
    "cohort_month": "date",
    "customer_account_status": "enum ENABLED DISABLED INVITED",
    "customer_added_date": "date",
    "customer_countries": "list DE de fr US",
    "customer_email_domain": "text example.com Example.COM mail.test x",
    "customer_language": "text en de EN pt-BR pt",
    "customer_tags": "list vip VIP wholesale it's 100% back\\slash %s",
    "days_since_last_order": "integer",
    "discounts": "decimal",
    "email_subscription_status": "enum SUBSCRIBED UNSUBSCRIBED NOT_SUBSCRIBED",
    "expected_net_sales_365d": "decimal",
    "expected_net_sales_90d": "decimal",
    "expected_order_value": "decimal",
    "expected_orders_365d": "decimal",
    "expected_orders_90d": "decimal",
    "first_order_date": "date",
    "frequency_score": "integer",
    "gross_sales": "decimal",
    "is_churn_risk": "boolean",
    "is_high_value": "boolean",
    "last_order_date": "date",
    "monetary_score": "integer",
    "net_sales": "decimal",
    "number_of_orders": "integer",
    "probability_alive": "decimal",
    "probability_order_90d": "decimal",
    "recency_score": "integer",
    "returns": "decimal",
    "rfm_group": "enum CHAMPIONS LOYAL PROSPECTS",
    "rfm_segment": "enum CHAMPIONS LOYAL LOST ABOUT_TO_SLEEP HIBERNATING NEW_CUSTOMERS",
    "units": "integer",
}
"""The type of each attribute, with values where only some say anything."""

PARAMETERS: dict[str, dict[str, str]] = {
    "orders_placed": {"date": "date", "amount": "decimal", "count": "integer", "sum_amount": "decimal"},
    "products_purchased": {
        "date": "date",
        "id": "integer",
        "quantity": "integer",
        "count": "integer",
        "sum_quantity": "integer",
    },
}

_TODAYS = {"today": Offset(0, "d"), "yesterday": Offset(-1, "d"), "30_days_ago": Offset(-30, "d")}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}

Test = Callable[[Any, date], bool]
"""Whether what is known fits on a day."""


def queries(products: list[int]) -> st.SearchStrategy[Made]:
    """Queries of up to ten clauses, about these products among others."""
    clauses = st.one_of(_clauses(), _clauses(), _functions(products))
    return st.recursive(clauses, lambda parts: st.one_of(_groups(parts), _negations(parts)), max_leaves=6)


def markers() -> st.SearchStrategy[str]:
    """Texts that nothing but a query's author would write."""
    return st.text("qxzwjk", min_size=9, max_size=12)


def noise() -> st.SearchStrategy[str]:
    """Texts that are nearly queries, or nothing like one."""
    words = st.sampled_from(
        [
            *KINDS,
            *PARAMETERS,
            *("AND", "or", "NOT", "IS", "NULL", "BETWEEN", "IN", "CONTAINS", "STARTS", "WITH", "MATCHES", "true"),
            *("=", "!=", "<>", "<", ">=", "(", ")", ",", "'", "''", "\\'", '"', "--", "/*", ";", "%s", "%(x)s", "$1"),
            *("'vip'", "1", "-1", "9" * 30, "1.5", "1e5", "-30d", "-99999d", "today", "2026-01-31", "12026-01-01"),
            *(
                "\0",
                "\ud800",
                "👍",
                "\u202e",
                "null",
                "union select",
                "customer_cities",
                "count",
                "date",
                "id",
                "::text",
            ),
        ]
    )
    return st.lists(words, max_size=14).map(" ".join) | st.text(max_size=60)


def _clauses() -> st.SearchStrategy[Made]:
    def about(name: str) -> st.SearchStrategy[Made]:
        return _comparisons(KINDS[name]).map(
            lambda made: Made(f"{name} {made[0]}", lambda person, today: made[1](person.facts[name], today))
        )

    return st.sampled_from(sorted(KINDS)).flatmap(about)


def _comparisons(kind: str) -> st.SearchStrategy[tuple[str, Test]]:
    """What follows the name, and whether a value fits it."""
    type_, *known = kind.split(" ")
    values = _values(type_, known)
    nulls = st.sampled_from([("IS NULL", _is_null), ("is not null", _opposite(_is_null))])
    if type_ == "list":
        return values.flatmap(lambda value: _with_negation("CONTAINS", value[0], _contains(value[1]))) | nulls
    ignores_case = type_ == "text"
    choices = [
        st.tuples(st.sampled_from(["=", "!=", "<>"]), values).map(
            lambda made: _comparison(made[0], made[1], ignores_case)
        ),
        nulls,
    ]
    if type_ in ("integer", "decimal", "date"):
        ordered = st.tuples(st.sampled_from(sorted(_COMPARISONS)), values)
        choices.append(ordered.map(lambda made: _comparison(made[0], made[1], ignores_case)))
        choices.append(st.tuples(values, values).flatmap(lambda pair: _with_negation("BETWEEN", *_range(*pair))))
    if type_ in ("integer", "enum", "text"):
        choices.append(
            st.lists(values, min_size=1, max_size=4).flatmap(lambda given: _with_negation("IN", *_one_of(given, kind)))
        )
    if type_ == "text":
        choices.append(values.flatmap(lambda v: _with_negation("STARTS WITH", v[0], _starts_with(v[1]))))
    return st.one_of(choices)


def _values(type_: str, known: list[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """A value as it is written, and as it is."""
    if type_ == "boolean":
        return st.sampled_from([("true", True), ("FALSE", False)])
    if type_ == "integer":
        return st.integers(-2, 12).map(lambda number: (str(number), number))
    if type_ == "decimal":
        numbers = st.decimals(-30, 150, places=2) | st.sampled_from([Decimal(value) for value in ("0", "20", "18.75")])
        return numbers.map(lambda number: (f"{number:f}", number))
    if type_ == "date":
        absolute = st.dates(date(2024, 1, 1), date(2030, 12, 31)).map(lambda day: (day.isoformat(), day))
        offsets = st.builds(Offset, st.integers(-40, 2), st.sampled_from("dwmy")).map(
            lambda offset: (f"{offset.amount:+d}{offset.unit}", offset)
        )
        return st.one_of(absolute, offsets, offsets, st.sampled_from(sorted(_TODAYS.items())))
    texts = st.sampled_from(known) if type_ == "enum" else st.sampled_from(known) | markers()
    return texts.map(lambda text: (_quoted(text), text))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _comparison(operator: str, value: tuple[str, Any], ignores_case: bool) -> tuple[str, Test]:
    def fits(known: Any, today: date) -> bool:
        wanted = _resolved(value[1], today)
        if ignores_case:
            known, wanted = known and known.lower(), wanted.lower()
        if operator in ("!=", "<>"):
            return bool(known != wanted)
        return known is not None and _COMPARISONS[operator](known, wanted)

    return f"{operator} {value[0]}", fits


def _range(low: tuple[str, Any], high: tuple[str, Any]) -> tuple[str, Test]:
    def fits(known: Any, today: date) -> bool:
        return known is not None and _resolved(low[1], today) <= known <= _resolved(high[1], today)

    return f"{low[0]} AND {high[0]}", fits


def _one_of(values: list[tuple[str, Any]], kind: str) -> tuple[str, Test]:
    def fits(known: Any, _: date) -> bool:
        if kind.startswith("text"):
            return known is not None and known.lower() in [value.lower() for _, value in values]
        return known in [value for _, value in values]

    return f"({', '.join(text for text, _ in values)})", fits


def _contains(value: str) -> Test:
    return lambda known, _: value.lower() in [each.lower() for each in known or ()]


def _starts_with(value: str) -> Test:
    return lambda known, _: known is not None and known.lower().startswith(value.lower())


def _is_null(known: Any, _: date) -> bool:
    return known is None or known == []


def _opposite(fits: Test) -> Test:
    return lambda known, today: not fits(known, today)


def _with_negation(operator: str, values: str, fits: Test) -> st.SearchStrategy[tuple[str, Test]]:
    return st.sampled_from([(f"{operator} {values}", fits), (f"NOT {operator.lower()} {values}", _opposite(fits))])


def _resolved(value: Any, today: date) -> Any:
    return value.day(today) if isinstance(value, Offset) else value


def _functions(products: list[int]) -> st.SearchStrategy[Made]:
    def of(name: str) -> st.SearchStrategy[Made]:
        chosen = st.lists(st.sampled_from(sorted(PARAMETERS[name])), max_size=3, unique=True)
        return chosen.flatmap(
            lambda parameters: st.tuples(*(_parameter(name, p, products) for p in parameters))
        ).flatmap(lambda made: st.sampled_from([_function(name, list(made), False), _function(name, list(made), True)]))

    return st.sampled_from(sorted(PARAMETERS)).flatmap(of)


def _parameter(function: str, name: str, products: list[int]) -> st.SearchStrategy[tuple[str, str, Test]]:
    if name in ("count", "sum_quantity", "sum_amount"):
        at_least = st.tuples(st.sampled_from([">", ">=", "="]), st.integers(1, 4))
        return at_least.map(lambda m: (name, *_named(name, _comparison(m[0], (str(m[1]), Decimal(m[1])), False))))
    if name == "id":
        some = st.lists(st.sampled_from([*products, 999]), min_size=1, max_size=3)
        return some.flatmap(
            lambda ids: _with_negation("IN", *_one_of([(str(number), number) for number in ids], "integer"))
        ).map(lambda made: (name, *_named(name, made)))
    kind = PARAMETERS[function][name]
    return (
        _comparisons(kind)
        .filter(lambda made: "null" not in made[0].lower())
        .map(lambda made: (name, *_named(name, made)))
    )


def _named(name: str, made: tuple[str, Test]) -> tuple[str, Test]:
    return f"{name} {made[0]}", made[1]


def _function(name: str, parameters: list[tuple[str, str, Test]], is_negated: bool) -> Made:
    def fits(person: Person, today: date) -> bool:
        rows = person.orders if name == "orders_placed" else person.lines
        rows = tuple(
            row
            for row in rows
            if all(test(row[p], today) for p, _, test in parameters if p not in ("count", "sum_quantity", "sum_amount"))
        )
        of_all = {
            "count": len({row["order"] for row in rows}),
            "sum_amount": sum((row["amount"] for row in rows), Decimal(0)) if name == "orders_placed" else None,
            "sum_quantity": sum(row["quantity"] for row in rows) if name == "products_purchased" else None,
        }
        holds = bool(rows) and all(test(of_all[p], today) for p, _, test in parameters if p in of_all)
        return holds is not is_negated

    words = "NOT MATCHES" if is_negated else "matches"
    return Made(f"{name} {words} ({', '.join(text for _, text, _ in parameters)})", fits)


def _groups(parts: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    def joined(word: str, made: list[Made]) -> Made:
        combine = all if word.upper() == "AND" else any
        text = f" {word} ".join(f"({part.text})" for part in made)
        return Made(text, lambda person, today: combine(part.fits(person, today) for part in made))

    return st.builds(joined, st.sampled_from(["AND", "OR", "and", "or"]), st.lists(parts, min_size=2, max_size=3))


def _negations(parts: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    return parts.map(lambda part: Made(f"NOT ({part.text})", lambda person, today: not part.fits(person, today)))
