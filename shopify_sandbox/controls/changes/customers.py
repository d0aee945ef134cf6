"""Customers created, changed, deleted, merged."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopify_sandbox.controls.changes.subject import (
    ChangeError,
    Options,
    Touched,
    chosen,
    known,
    named,
    newest,
    set_fields,
)
from shopify_sandbox.model.objects import Checkout, Customer
from shopify_sandbox.model.order import Order
from shopify_sandbox.state.store import Store

_STATES = ("DECLINED", "DISABLED", "ENABLED", "INVITED")


def create_customer(store: Store, **fields: Any) -> Touched:
    """A new customer, with the fields of `update_customer`."""
    number = store.new_id("Customer")
    customer = Customer(number, store.now(), store.now(), email=f"customer.{number}@example.com")
    store.save("Customer", customer)
    return update_customer(store, number, **fields)


def update_customer(
    store: Store,
    customer_id: int | None = None,
    *,
    first_name: str | None = None,
    last_name: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    country: str | None = None,
    locale: str | None = None,
    state: str | None = None,
    tags: list[str] | None = None,
) -> Touched:
    """Change these fields of a customer; `country` is an ISO code."""
    customer: Customer = chosen(store, "Customer", customer_id)
    given: Options = {"first_name": first_name, "last_name": last_name, "email": email, "phone": phone}
    given |= {"country": country, "locale": locale, "tags": tags}
    given |= {"state": state and known(state, _STATES), "has_address": country and True}
    set_fields(customer, given)
    customer.updated_at = store.now()
    store.save("Customer", customer)
    return {"customers": [customer.id]}


def delete_customer(store: Store, customer_id: int | None = None) -> Touched:
    """Delete a customer; as at Shopify, only one who has no orders."""
    orders = store.tables["Order"]

    def has_none(customer: Customer) -> bool:
        return not len(orders.having("customer_id", customer.id))

    number = chosen(store, "Customer", customer_id).id if customer_id else newest(store, "Customer", has_none).id
    if len(orders.having("customer_id", number)):
        raise ChangeError(f"Customer {number} has orders and cannot be deleted.")
    store.delete("Customer", number)
    return {"customers": [number]}


def merge_customers(store: Store, winner_id: int, loser_id: int, *, touch_orders: bool = False) -> Touched:
    """Merge the loser into the winner: orders and checkouts move, the loser is deleted.

    The orders' `updated_at` stays, unless they are touched: whoever mirrors a store cannot rely on it.
    """
    winner: Customer = named(store, "Customer", winner_id)
    loser: Customer = named(store, "Customer", loser_id)
    if winner.id == loser.id:
        raise ChangeError("A customer cannot be merged into itself.")
    moved = []
    for row in store.tables["Order"].having("customer_id", loser.id).tolist():
        order: Order = store.object("Order", row)
        order.customer_id = winner.id
        if touch_orders:
            order.updated_at = store.now()
        store.save("Order", order)
        moved.append(order.id)
    checkouts = store.tables["AbandonedCheckout"]
    for row in np.flatnonzero(checkouts.alive).tolist():
        checkout: Checkout = store.object("AbandonedCheckout", row)
        if checkout.customer_id == loser.id:
            checkout.customer_id = winner.id
            store.save("AbandonedCheckout", checkout)
    winner.tags = [*winner.tags, *(tag for tag in loser.tags if tag not in winner.tags)]
    winner.updated_at = store.now()
    store.save("Customer", winner)
    store.delete("Customer", loser.id)
    return {"customers": [winner.id, loser.id], "orders": moved}
