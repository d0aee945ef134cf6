"""What a store knows of its customers that segments may ask for.

Not documented at Shopify, and so a guess: a cancelled order counts as no order.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from shopify_sandbox.errors import ApiError
from shopify_sandbox.model.money import Document
from shopify_sandbox.model.times import local_date
from shopify_sandbox.search.selection import UnsupportedError
from shopify_sandbox.segments.syntax import Facts, SegmentSyntaxError, UnknownAttributeError, read_query
from shopify_sandbox.state.store import Store

_KNOWN = {
    *(
        "abandoned_checkout_date",
        "amount_spent",
        "customer_account_status",
        "customer_added_date",
        "customer_countries",
    ),
    *("customer_email_domain", "customer_language", "customer_tags", "email_subscription_status"),
    *("first_order_date", "last_order_date", "number_of_orders", "orders_placed", "products_purchased", "rfm_group"),
}


def count_members(store: Store, query: str, timezone: str | None) -> int:
    """How many customers fit a query.

    Args:
        timezone: the one in which "today" is meant; UTC without.

    Raises:
        ApiError: the query is not in the language.
        UnsupportedError: it asks for what this sandbox does not play.
    """
    try:
        today = local_date(store.now(), ZoneInfo(timezone or "UTC"))
        fits = read_query(query, today, _KNOWN)
    except SegmentSyntaxError as problem:
        raise ApiError(f"Query is invalid: {problem}.", "BAD_REQUEST") from None
    except UnknownAttributeError as problem:
        raise UnsupportedError(f"Segments by {problem} are not part of this sandbox.") from None
    orders, abandoned = _orders(store), _abandoned(store)
    rows = np.flatnonzero(store.tables["Customer"].alive)
    customers = [store.document("Customer", int(row)) for row in rows]
    return sum(fits(_facts(store, customer, orders[customer["id"]], abandoned)) for customer in customers)


def _orders(store: Store) -> dict[str, list[Document]]:
    """The orders by customer, but for test orders."""
    found: dict[str, list[Document]] = defaultdict(list)
    rows = store.visible("Order", np.flatnonzero(store.tables["Order"].alive))
    for row in rows:
        order = store.document("Order", int(row))
        if order["customer"] and not order["test"]:
            found[order["customer"]["id"]].append(order)
    return found


def _abandoned(store: Store) -> dict[str, date]:
    """The day of the last abandoned checkout, by customer."""
    found: dict[str, date] = {}
    for row in np.flatnonzero(store.tables["AbandonedCheckout"].alive):
        checkout = store.document("AbandonedCheckout", int(row))
        if checkout["customer"]:
            day = _day(store, checkout["createdAt"])
            customer = checkout["customer"]["id"]
            found[customer] = max(day, found.get(customer, day))
    return found


def _facts(store: Store, customer: Document, all_orders: list[Document], abandoned: dict[str, date]) -> Facts:
    orders = [order for order in all_orders if order["cancelledAt"] is None]
    days = {order["id"]: _day(store, order["processedAt"]) for order in orders}
    email, address = customer["defaultEmailAddress"], customer["defaultAddress"]
    return {
        "abandoned_checkout_date": abandoned.get(customer["id"]),
        "amount_spent": sum((_spent(order) for order in all_orders), Decimal(0)),
        "customer_account_status": customer["state"],
        "customer_added_date": _day(store, customer["createdAt"]),
        "customer_countries": [address["countryCodeV2"]] if address else [],
        "customer_email_domain": email and email["emailAddress"].partition("@")[2].lower(),
        "customer_language": customer["locale"],
        "customer_tags": customer["tags"],
        "email_subscription_status": email and email["marketingState"],
        "first_order_date": min(days.values(), default=None),
        "last_order_date": max(days.values(), default=None),
        "number_of_orders": len(orders),
        "orders_placed": [
            {"order": order["id"], "date": days[order["id"]], "amount": _spent(order), "quantity": 0}
            for order in orders
        ],
        "products_purchased": [
            {
                "order": order["id"],
                "date": days[order["id"]],
                "id": int(line["product"]["id"].rpartition("/")[2]) if line["product"] else None,
                "quantity": line["quantity"],
                "amount": Decimal(0),
            }
            for order in orders
            for line in order["lineItems"]
        ],
        "rfm_group": customer["statistics"]["rfmGroup"],
    }


def _spent(order: Document) -> Decimal:
    """An order's total sales until now, in the shop's money."""
    sales = [sale for agreement in order["agreements"] for sale in agreement["sales"]]
    amounts = [sale["totalAmount"] for sale in sales if sale["lineType"] not in ("GIFT_CARD", "TIP")]
    return sum((Decimal(amount["shopMoney"]["amount"]) for amount in amounts), Decimal(0))


def _day(store: Store, instant: str) -> date:
    return datetime.fromisoformat(instant).astimezone(store.spec.zone).date()
