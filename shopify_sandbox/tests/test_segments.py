"""Who fits a query in the segment query language."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shopify_sandbox.segments.syntax import SegmentSyntaxError, UnknownAttributeError, read_query

TODAY = date(2026, 3, 31)
ADA: dict[str, Any] = {
    "number_of_orders": 3,
    "last_order_date": date(2026, 2, 28),
    "abandoned_checkout_date": None,
    "customer_tags": ["VIP", "it's"],
    "customer_language": "en",
    "products_purchased": [
        {"order": 1, "id": 7, "date": date(2026, 1, 5), "quantity": 2, "amount": 0},
        {"order": 2, "id": 8, "date": date(2026, 2, 28), "quantity": 1, "amount": 0},
    ],
}


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("number_of_orders >= 3", True),
        ("number_of_orders = 1 OR number_of_orders = 3 AND customer_language = 'de'", False),
        ("(number_of_orders = 1 OR number_of_orders = 3) AND customer_language = 'en'", True),
        ("last_order_date = -1m", True),
        ("last_order_date > -31d", False),
        ("last_order_date BETWEEN 2026-02-28 AND today", True),
        ("abandoned_checkout_date IS NULL", True),
        ("abandoned_checkout_date < today", False),
        ("abandoned_checkout_date != today", True),
        ("customer_tags CONTAINS 'vip'", True),
        (r"customer_tags NOT CONTAINS 'it\'s'", False),
        ("products_purchased MATCHES ()", True),
        ("products_purchased MATCHES (id = 7, date >= -1m)", False),
        ("products_purchased MATCHES (id IN (7, 8), count = 2)", True),
        ("products_purchased NOT MATCHES (sum_quantity > 3)", True),
        ("products_purchased MATCHES (id NOT IN (7))", True),
    ],
)
def test_a_customer_fits_or_does_not(query: str, fits: bool) -> None:
    assert read_query(query, TODAY, set(ADA))(ADA) is fits


@pytest.mark.parametrize(
    "query",
    [
        *("", "number_of_orders", "number_of_orders = ", "number_of_orders = 1 2", "(number_of_orders = 1", "= 1", "$"),
        *("number_of_orders ~ 1", "last_order_date = 2026-02-30", " OR ".join(["number_of_orders = 1"] * 11)),
    ],
)
def test_what_is_not_in_the_language_is_refused(query: str) -> None:
    with pytest.raises(SegmentSyntaxError):
        read_query(query, TODAY, set(ADA))


def test_what_is_not_played_is_said() -> None:
    for query in ("customer_cities CONTAINS 'x'", "products_purchased MATCHES (tag = 'x')"):
        with pytest.raises(UnknownAttributeError):
            read_query(query, TODAY, set(ADA))
