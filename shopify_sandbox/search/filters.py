"""The filters of each connection that this sandbox has data for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopify_sandbox.model.money import Document
from shopify_sandbox.model.times import instant
from shopify_sandbox.search.syntax import Term
from shopify_sandbox.search.values import (
    COMPARE,
    Clock,
    InvalidValueError,
    ends,
    in_period,
    listed,
    parse_decimal,
    parse_number,
    parse_period,
    parse_truth,
    whole_days_of,
)
from shopify_sandbox.state.source import Columns
from shopify_sandbox.state.table import Rows

Mask = NDArray[np.bool_]
RowTest = Callable[[Columns, Rows], Mask]
DocumentTest = Callable[[Document], bool]


# -- filters on columns


def _time_column(column: str, *, whole_days: bool = False) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, clock: Clock) -> RowTest:
        bounds = [(comparison, parse_period(value, clock)) for comparison, value in ends(term)]
        if whole_days:
            bounds = [(comparison, whole_days_of(period, clock.zone)) for comparison, period in bounds]
        return lambda columns, rows: np.logical_and.reduce(
            [in_period(columns[column][rows], comparison, period) for comparison, period in bounds]
        )

    return build


def _number_column(column: str) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, _clock: Clock) -> RowTest:
        if term.operator == ":" and ".." not in term.value:
            wanted = np.array([parse_number(part) for part in term.value.split(",")], dtype=np.int64)
            return lambda columns, rows: np.isin(columns[column][rows], wanted)
        bounds = [(COMPARE[comparison], parse_number(value)) for comparison, value in ends(term)]
        return lambda columns, rows: np.logical_and.reduce(
            [compare(columns[column][rows], bound) for compare, bound in bounds]
        )

    return build


def _flag_column(column: str) -> Callable[[Term, Clock], RowTest]:
    def build(term: Term, _clock: Clock) -> RowTest:
        wanted = parse_truth(term.value)
        return lambda columns, rows: columns[column][rows] == wanted

    return build


_ID_AND_TIMES = {
    "id": _number_column("id"),
    "created_at": _time_column("created_at"),
    "updated_at": _time_column("updated_at"),
}
COLUMN_FILTERS: dict[str, dict[str, Callable[[Term, Clock], RowTest]]] = {
    "orders": _ID_AND_TIMES
    | {
        "processed_at": _time_column("processed_at"),
        "customer_id": _number_column("customer_id"),
        "test": _flag_column("test"),
    },
    # The schema: "The date and time, matching a whole day, when the customer's information was last updated."
    "customers": {
        "id": _number_column("id"),
        "customer_date": _time_column("created_at"),
        "updated_at": _time_column("updated_at", whole_days=True),
    },
    "customersCount": _ID_AND_TIMES,
    "products": _ID_AND_TIMES,
    "abandonedCheckouts": _ID_AND_TIMES,
}


# -- filters on documents


def _matches(found: str | None, wanted: list[str]) -> bool:
    """Whether a text is (case aside) one of some values; `*` matches any, `abc*` whatever begins so."""
    folded = (found or "").casefold()
    return found is not None and any(
        folded == value or (value.endswith("*") and folded.startswith(value[:-1])) for value in wanted
    )


def _texts(read: Callable[[Document], list[str | None]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = [*listed(term.value), term.value.casefold()]
        return lambda document: any(_matches(found, wanted) for found in read(document))

    return build


def _text(*path: str) -> Callable[[Term, Clock], DocumentTest]:
    def read(document: Document) -> list[str | None]:
        found: Any = document
        for name in path:
            found = found and found[name]
        return [found]

    return _texts(read)


def _child_text(connection: str, name: str) -> Callable[[Term, Clock], DocumentTest]:
    return _texts(lambda document: [child[name] for child in document[connection]])


def _no_text(read: Callable[[Document], list[str | None]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, clock: Clock) -> DocumentTest:
        found = _texts(read)(term, clock)
        return lambda document: not found(document)

    return build


def _state(
    read: Callable[[Document], str | None], states: str, **aliases: str
) -> Callable[[Term, Clock], DocumentTest]:
    """One of a few states, in lower case here; some have a second name, and `any` is all of them."""

    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = {aliases.get(value, value) for value in listed(term.value)}
        if not wanted <= {"any", *states.split()}:
            raise InvalidValueError(term.value)
        return lambda document: "any" in wanted or (read(document) or "").lower() in wanted

    return build


def _enum(name: str, states: str, **aliases: str) -> Callable[[Term, Clock], DocumentTest]:
    return _state(lambda document: document[name], states, **aliases)


def _amounts(read: Callable[[Document], list[str]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        bounds = [(COMPARE[comparison], parse_decimal(value)) for comparison, value in ends(term)]
        return lambda document: any(
            all(compare(Decimal(amount), bound) for compare, bound in bounds) for amount in read(document)
        )

    return build


def _boolean(read: Callable[[Document], bool]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        wanted = parse_truth(term.value)
        return lambda document: read(document) is wanted

    return build


def _ids(read: Callable[[Document], list[str]]) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, _clock: Clock) -> DocumentTest:
        bounds = [(COMPARE[comparison], parse_number(value)) for comparison, value in ends(term)]
        return lambda document: any(
            all(compare(parse_number(number), bound) for compare, bound in bounds) for number in read(document)
        )

    return build


def _time(name: str) -> Callable[[Term, Clock], DocumentTest]:
    def build(term: Term, clock: Clock) -> DocumentTest:
        bounds = [(comparison, parse_period(value, clock)) for comparison, value in ends(term)]

        def test(document: Document) -> bool:
            moment = instant(datetime.fromisoformat(document[name]))
            return all(in_period(moment, comparison, period) for comparison, period in bounds)

        return test

    return build


def _tags(document: Document) -> list[str | None]:
    return list(document["tags"])


def _order_state(order: Document) -> str:
    return "cancelled" if order["cancelledAt"] else "closed" if order["closedAt"] else "open"


def _order_status(term: Term, clock: Clock) -> DocumentTest:
    if term.value.strip().lower() == "not_closed":
        return lambda order: _order_state(order) != "closed"
    return _state(_order_state, "open closed cancelled")(term, clock)


DOCUMENT_FILTERS: dict[str, dict[str, Callable[[Term, Clock], DocumentTest]]] = {
    "orders": {
        "cart_token": _text("cartToken"),
        "checkout_token": _text("checkoutToken"),
        "current_total_price": _amounts(lambda order: [order["currentTotalPriceSet"]["shopMoney"]["amount"]]),
        "discount_code": _texts(lambda order: order["discountCodes"][:1]),
        "financial_status": _enum(
            "displayFinancialStatus",
            "paid pending authorized partially_paid partially_refunded refunded voided expired",
        ),
        "fulfillment_status": _enum(
            "displayFulfillmentStatus",
            "fulfilled partially_fulfilled scheduled on_hold unfulfilled request_declined",
            unshipped="unfulfilled",
            shipped="fulfilled",
            partial="partially_fulfilled",
        ),
        "gateway": _child_text("transactions", "gateway"),
        # Recorded: `name:1494` finds the order named "#1494".
        "name": _texts(lambda order: [order["name"], order["name"].removeprefix("#")]),
        "sku": _child_text("lineItems", "sku"),
        "source_name": _text("sourceName"),
        "status": _order_status,
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
    },
    "customers": {
        "accepts_marketing": _boolean(
            lambda customer: (customer["defaultEmailAddress"] or {}).get("marketingState") == "SUBSCRIBED"
        ),
        "country": _text("defaultAddress", "countryCodeV2"),
        "email": _text("defaultEmailAddress", "emailAddress"),
        "first_name": _text("firstName"),
        "last_name": _text("lastName"),
        "orders_count": _amounts(lambda customer: [customer["numberOfOrders"]]),
        "phone": _text("defaultPhoneNumber", "phoneNumber"),
        "state": _enum("state", "enabled invited disabled declined"),
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
    },
    "products": {
        "barcode": _child_text("variants", "barcode"),
        "gift_card": _boolean(lambda product: product["isGiftCard"]),
        "handle": _text("handle"),
        "price": _amounts(lambda product: [variant["price"] for variant in product["variants"]]),
        "product_type": _text("productType"),
        "sku": _child_text("variants", "sku"),
        "status": _enum("status", "active archived draft unlisted"),
        "tag": _texts(_tags),
        "tag_not": _no_text(_tags),
        "title": _text("title"),
        "variant_id": _ids(lambda product: [variant["id"] for variant in product["variants"]]),
        "variant_title": _child_text("variants", "title"),
        "vendor": _text("vendor"),
    },
    "abandonedCheckouts": {
        "recovery_state": _state(
            lambda checkout: "recovered" if checkout["completedAt"] else "not_recovered", "recovered not_recovered"
        ),
        "status": _state(lambda checkout: "closed" if checkout["completedAt"] else "open", "open closed"),
    },
    "Order.agreements": {"id": _ids(lambda agreement: [agreement["id"]]), "happened_at": _time("happenedAt")},
    "bulkOperations": {
        "id": _ids(lambda operation: [operation["id"]]),
        "created_at": _time("createdAt"),
        "operation_type": _enum("type", "query mutation"),
        "status": _enum("status", "canceled canceling completed created expired failed running"),
    },
}
