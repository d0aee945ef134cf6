"""Orders placed, edited, refunded, cancelled, deleted."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from shopify_sandbox.controls.changes.customers import create_customer
from shopify_sandbox.controls.changes.subject import (
    ChangeError,
    Options,
    Touched,
    chosen,
    known,
    minor_units,
    named,
    price_of,
    set_fields,
)
from shopify_sandbox.generator.composer import Moments
from shopify_sandbox.model import ledger
from shopify_sandbox.model.objects import Customer, Product
from shopify_sandbox.model.order import FEES, Line, Order
from shopify_sandbox.model.times import instant
from shopify_sandbox.state.store import Store

_LINE_OPTIONS = {"variant_id", "sku", "quantity", "price", "discount", "title"}
_CANCEL_REASONS = ("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")


def _touch_customer(store: Store, customer_id: int | None, touched: Touched) -> None:
    if customer_id is None or store.tables["Customer"].row(customer_id) is None:
        return
    customer: Customer = named(store, "Customer", customer_id)
    customer.updated_at = store.now()
    store.save("Customer", customer)
    touched["customers"] = [customer_id]


def save_order(store: Store, order: Order) -> Touched:
    """Save a changed order; its customer was touched too."""
    order.updated_at = store.now()
    store.save("Order", order)
    touched = {"orders": [order.id]}
    _touch_customer(store, order.customer_id, touched)
    return touched


def _is_whole(order: Order) -> bool:
    return order.cancelled_at is None and bool(ledger.remaining(order))


def _line(order: Order, line_id: int | None) -> int:
    """The position of a line: the one named, or the first that is left."""
    left = ledger.remaining(order)
    if line_id is None:
        return next(iter(left))
    for position, line in enumerate(order.lines):
        if order.child_base + line.number == int(line_id):
            return position
    raise ChangeError(f"Order {order.id} has no line {line_id}.")


def _new_line(store: Store, number: int, options: Options, at: int) -> Line:
    """A line of a variant that is named (or drawn), with another price if one is given."""
    unknown = sorted(options.keys() - _LINE_OPTIONS)
    if unknown:
        raise ChangeError(f"A line has no {unknown[0]}: {', '.join(sorted(_LINE_OPTIONS))}.")
    if "variant_id" in options or "sku" in options:
        line = _line_of_variant(store, number, options)
    else:
        line = store.source.composer.product_line(store.rng(at), number)
    if "price" in options:
        line.unit_price = price_of(options["price"])
    if "title" in options:
        line.title = str(options["title"])
    line.discount = minor_units(store, options.get("discount", "0"))
    return line


def _line_of_variant(store: Store, number: int, options: Options) -> Line:
    for row in np.flatnonzero(store.tables["Product"].alive).tolist():
        product: Product = store.object("Product", row)
        for variant in product.variants:
            if variant.id == options.get("variant_id") or variant.sku == options.get("sku", object()):
                kind = "GIFT_CARD" if product.is_gift_card else "PRODUCT"
                return Line(
                    number,
                    product.title,
                    variant.price,
                    kind,
                    variant_title=variant.title if len(product.variants) > 1 else None,
                    sku=variant.sku,
                    vendor=product.vendor,
                    requires_shipping=not product.is_gift_card,
                    product_id=product.id,
                    variant_id=variant.id,
                )
    raise ChangeError(f"No product has the variant {options.get('variant_id') or options.get('sku')}.")


def buyer_of(store: Store, customer_id: int | None, *, new_customer: bool, guest: bool, seed: int) -> int | None:
    """The customer that is named, a new one, none, or any."""
    if guest:
        return None
    if new_customer:
        return create_customer(store)["customers"][0]
    if customer_id is not None:
        return int(named(store, "Customer", customer_id).id)
    table = store.tables["Customer"]
    rows = np.flatnonzero(table.alive)
    return int(table.columns["id"][store.rng(seed).choice(rows.tolist())]) if len(rows) else None


def _moment(store: Store, text: str | None) -> int:
    """A written time (in the shop's zone, if it names none); without one, now."""
    if text is None:
        return store.now()
    moment = datetime.fromisoformat(text)
    return instant(moment if moment.tzinfo else moment.replace(tzinfo=store.spec.zone))


def place_order(
    store: Store,
    *,
    customer_id: int | None = None,
    new_customer: bool = False,
    guest: bool = False,
    lines: list[Options] | None = None,
    shipping: str | None = None,
    discount_codes: list[str] | None = None,
    tags: list[str] | None = None,
    processed_at: str | None = None,
    test: bool = False,
    paid: bool = True,
    fulfilled: bool = False,
    cart_token: str | None = None,
) -> Touched:
    """A new order: of a drawn basket, or of `lines` with `{variant_id or sku, quantity, price, discount, title}`."""
    now, source = store.now(), store.source
    number = store.new_id("Order")
    buyer = buyer_of(store, customer_id, new_customer=new_customer, guest=guest, seed=number)
    rng, at = store.rng(number), Moments(now, _moment(store, processed_at))
    identity = (number, source.child_base(number), source.order_name(number))
    if lines is None:
        order = source.composer.compose(rng, *identity, at, customer_id=buyer, test=test)
        order.transactions.clear()
    else:
        order = source.composer.header(rng, *identity, at, buyer, test=test)
        order.lines = [_new_line(store, n, line, n) for n, line in enumerate(lines, start=1)]
        quantities = [int(line.get("quantity", 1)) for line in lines]
        charge = None if shipping is None else (minor_units(store, shipping), 0)
        ledger.place(order, quantities, [line.discount for line in order.lines], charge)
    if paid:
        ledger.pay(order, now)
    if cart_token is not None:
        order.cart_token = cart_token
    if tags is not None:
        order.tags = tags
    if discount_codes is not None:
        order.discount_codes = discount_codes
    if fulfilled:
        ledger.fulfill(order, now, sum(ledger.remaining(order).values()))
    return save_order(store, order)


def edit_order(
    store: Store,
    order_id: int | None = None,
    *,
    add: Options | None = None,
    remove: int | bool | None = None,
    set_quantity: Options | None = None,
    discount: Options | None = None,
) -> Touched:
    """Edit an order in one way; without any, a drawn line is added.

    Args:
        store: The store.
        order_id: The order; the newest that has something left, by default.
        add: A line, as in `place_order`.
        remove: A line's id, or true for the first.
        set_quantity: `{line_id, quantity}`; without a `line_id`, of the first line.
        discount: `{line_id, amount}`; likewise.
    """
    order, now = chosen(store, "Order", order_id, _is_whole), store.now()
    if remove is not None:
        position = _line(order, None if remove is True else remove)
        ledger.remove_units(order, now, position, order.units(position))
    elif set_quantity is not None:
        position = _line(order, set_quantity.get("line_id"))
        more = int(set_quantity["quantity"]) - order.units(position)
        if more > 0:
            ledger.add_units(order, now, position, more)
        else:
            ledger.remove_units(order, now, position, -more)
    elif discount is not None:
        position = _line(order, discount.get("line_id"))
        ledger.discount_line(order, now, position, minor_units(store, discount["amount"]))
    else:
        wanted = add or {}
        line = _new_line(store, max(line.number for line in order.lines) + 1, wanted, now)
        ledger.add_line(order, now, line, int(wanted.get("quantity", 1)))
    return save_order(store, order)


def refund(
    store: Store,
    order_id: int | None = None,
    *,
    lines: list[Options] | None = None,
    partial: bool = False,
    shipping: bool | None = None,
    adjustment: str | None = None,
) -> Touched:
    """Refund an order.

    Args:
        store: The store.
        order_id: The order; the newest that was paid and has something left, by default.
        lines: `{line_id, quantity}`; without them, and if it is not `partial`, everything left.
        partial: One unit of the first line.
        shipping: Whether shipping is refunded; by default it is when everything is.
        adjustment: An amount the customer gets less (more, if negative) than the lines are worth.
    """
    order = chosen(store, "Order", order_id, lambda order: _is_whole(order) and order.received > order.refunded)
    left = ledger.remaining(order)
    whole = lines is None and not partial and adjustment is None
    if lines is not None:
        units = {_line(order, line["line_id"]): int(line.get("quantity", 1)) for line in lines}
    elif partial:
        units = {next(iter(left)): 1}
    else:
        units = left if whole else {}
    charges: tuple[str, ...] = FEES if whole else ()
    if shipping is not None:
        charges = tuple(fee for fee in charges if fee != "SHIPPING") + (("SHIPPING",) if shipping else ())
    less = minor_units(store, adjustment or "0")
    ledger.refund(order, store.now(), units, charges=charges, adjustment=less)
    return save_order(store, order)


def cancel_order(store: Store, order_id: int | None = None, *, reason: str = "CUSTOMER") -> Touched:
    """Cancel an order."""
    order = chosen(store, "Order", order_id, lambda order: order.cancelled_at is None)
    ledger.cancel(order, store.now(), known(reason, _CANCEL_REASONS))
    return save_order(store, order)


def delete_order(store: Store, order_id: int | None = None) -> Touched:
    """Delete an order."""
    order = chosen(store, "Order", order_id)
    store.delete("Order", order.id)
    touched = {"orders": [order.id]}
    _touch_customer(store, order.customer_id, touched)
    return touched


def update_order(
    store: Store,
    order_id: int | None = None,
    *,
    tags: list[str] | None = None,
    source_name: str | None = None,
    test: bool | None = None,
) -> Touched:
    """Change these fields of an order (by default it gets one more tag); its customer is not touched."""
    order: Order = chosen(store, "Order", order_id)
    given = {"tags": tags, "source_name": source_name, "test": test}
    if not set_fields(order, given):
        order.tags = [*order.tags, "updated"]
    order.updated_at = store.now()
    store.save("Order", order)
    return {"orders": [order.id]}
