"""What can happen in a store: orders placed, edited, refunded, customers merged, products renamed, and so on.

Every change takes a store and options of JSON's types; what is left open is drawn, or the newest object that will
do is chosen. It returns the ids it touched, by kind. Times are the store's clock. Amounts of money are decimal strings
in the shop's currency.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from xeno_pipeline.sandbox.generator.catalog import slug
from xeno_pipeline.sandbox.generator.composer import Moments
from xeno_pipeline.sandbox.model import ledger
from xeno_pipeline.sandbox.model.ledger import Line, Order
from xeno_pipeline.sandbox.model.money import PRICE_ONE, divide, price_units
from xeno_pipeline.sandbox.model.objects import Checkout, CheckoutLine, Customer, Product, Variant
from xeno_pipeline.sandbox.model.times import instant
from xeno_pipeline.sandbox.state.store import Store

Options = dict[str, Any]
Touched = dict[str, list[int]]

_LINE_OPTIONS = {"variant_id", "sku", "quantity", "price", "discount", "title"}
_CUSTOMER_STATES = ("DECLINED", "DISABLED", "ENABLED", "INVITED")
_PRODUCT_STATES = ("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED")
_CANCEL_REASONS = ("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")
_NEWEST_TRIED = 2000


class ChangeError(ValueError):
    """A change that cannot be, in one sentence."""


# -- what a change is about


def _row(store: Store, kind: str, number: int) -> int:
    row = store.tables[kind].row(int(number))
    if row is None:
        raise ChangeError(f"There is no {kind} {number}.")
    return row


def _get(store: Store, kind: str, number: int) -> Any:
    return store.object(kind, _row(store, kind, number))


def _newest(store: Store, kind: str, wanted: Callable[[Any], bool]) -> Any:
    """The newest object that will do."""
    table = store.tables[kind]
    rows = table.sorted_by("created_at")[::-1]
    for row in rows[table.alive[rows]][:_NEWEST_TRIED].tolist():
        found = store.object(kind, row)
        if wanted(found):
            return found
    raise ChangeError(f"None of the newest objects of kind {kind} will do.")


def _chosen(store: Store, kind: str, number: int | None, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
    """The object that is named, or the newest that will do."""
    if number is None:
        return _newest(store, kind, wanted)
    found = _get(store, kind, number)
    if not wanted(found):
        raise ChangeError(f"{kind} {number} is not in a state for this.")
    return found


def _known(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ChangeError(f"{value!r} is none of {', '.join(known)}.")
    return value


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


def _minor(store: Store, amount: str) -> int:
    """An amount of the shop's currency in minor units."""
    return divide(_price(amount), price_units(store.spec.currency))


def _price(amount: str) -> int:
    try:
        return int(Decimal(str(amount)) * PRICE_ONE)
    except (InvalidOperation, ValueError, OverflowError):
        raise ChangeError(f"{amount!r} is no amount of money.") from None


def _touch_customer(store: Store, customer_id: int | None, touched: Touched) -> None:
    if customer_id is None or store.tables["Customer"].row(customer_id) is None:
        return
    customer: Customer = _get(store, "Customer", customer_id)
    customer.updated_at = store.now()
    store.save("Customer", customer)
    touched["customers"] = [customer_id]


def _save_order(store: Store, order: Order) -> Touched:
    """Save a changed order; its customer was touched too."""
    order.updated_at = store.now()
    store.save("Order", order)
    touched = {"orders": [order.id]}
    _touch_customer(store, order.customer_id, touched)
    return touched


# -- orders


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
        line.unit_price = _price(options["price"])
    if "title" in options:
        line.title = str(options["title"])
    line.discount = _minor(store, options.get("discount", "0"))
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


def _buyer(store: Store, customer_id: int | None, *, new_customer: bool, guest: bool, seed: int) -> int | None:
    """The customer that is named, a new one, nobody, or anybody."""
    if guest:
        return None
    if new_customer:
        return create_customer(store)["customers"][0]
    if customer_id is not None:
        return int(_get(store, "Customer", customer_id).id)
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
) -> Touched:
    """A new order: of a drawn basket, or of `lines` with `{variant_id or sku, quantity, price, discount, title}`."""
    now, source = store.now(), store.source
    number = store.new_id("Order")
    buyer = _buyer(store, customer_id, new_customer=new_customer, guest=guest, seed=number)
    rng, at = store.rng(number), Moments(now, _moment(store, processed_at))
    identity = (number, source.child_base(number), source.order_name(number))
    if lines is None:
        order = source.composer.compose(rng, *identity, at, customer_id=buyer, test=test)
        order.transactions.clear()
    else:
        order = source.composer.header(rng, *identity, at, buyer, test=test)
        order.lines = [_new_line(store, n, line, n) for n, line in enumerate(lines, start=1)]
        quantities = [int(line.get("quantity", 1)) for line in lines]
        charge = None if shipping is None else (_minor(store, shipping), 0)
        ledger.place(order, quantities, [line.discount for line in order.lines], charge)
    if paid:
        ledger.pay(order, now)
    if tags is not None:
        order.tags = tags
    if discount_codes is not None:
        order.discount_codes = discount_codes
    if fulfilled:
        ledger.fulfill(order, now, sum(ledger.remaining(order).values()))
    return _save_order(store, order)


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
    order, now = _chosen(store, "Order", order_id, _is_whole), store.now()
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
        ledger.discount_line(order, now, position, _minor(store, discount["amount"]))
    else:
        wanted = add or {}
        line = _new_line(store, max(line.number for line in order.lines) + 1, wanted, now)
        ledger.add_line(order, now, line, int(wanted.get("quantity", 1)))
    return _save_order(store, order)


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
    order = _chosen(store, "Order", order_id, lambda order: _is_whole(order) and order.received > order.refunded)
    left = ledger.remaining(order)
    whole = lines is None and not partial and adjustment is None
    if lines is not None:
        units = {_line(order, line["line_id"]): int(line.get("quantity", 1)) for line in lines}
    elif partial:
        units = {next(iter(left)): 1}
    else:
        units = left if whole else {}
    charges: tuple[str, ...] = ledger.FEES if whole else ()
    if shipping is not None:
        charges = tuple(fee for fee in charges if fee != "SHIPPING") + (("SHIPPING",) if shipping else ())
    less = _minor(store, adjustment or "0")
    ledger.refund(order, store.now(), units, charges=charges, adjustment=less)
    return _save_order(store, order)


def cancel_order(store: Store, order_id: int | None = None, *, reason: str = "CUSTOMER") -> Touched:
    """Cancel an order."""
    order = _chosen(store, "Order", order_id, lambda order: order.cancelled_at is None)
    ledger.cancel(order, store.now(), _known(reason, _CANCEL_REASONS))
    return _save_order(store, order)


def delete_order(store: Store, order_id: int | None = None) -> Touched:
    """Delete an order."""
    order = _chosen(store, "Order", order_id)
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
    order: Order = _chosen(store, "Order", order_id)
    given = {"tags": tags, "source_name": source_name, "test": test}
    if not _set_fields(order, given):
        order.tags = [*order.tags, "updated"]
    order.updated_at = store.now()
    store.save("Order", order)
    return {"orders": [order.id]}


# -- customers


def _set_fields(target: Any, given: Options) -> bool:
    """Set the fields that are not None; whether there was any."""
    values = {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        setattr(target, name, value)
    return bool(values)


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
    customer: Customer = _chosen(store, "Customer", customer_id)
    given: Options = {"first_name": first_name, "last_name": last_name, "email": email, "phone": phone}
    given |= {"country": country, "locale": locale, "tags": tags}
    given |= {"state": state and _known(state, _CUSTOMER_STATES), "has_address": country and True}
    _set_fields(customer, given)
    customer.updated_at = store.now()
    store.save("Customer", customer)
    return {"customers": [customer.id]}


def delete_customer(store: Store, customer_id: int | None = None) -> Touched:
    """Delete a customer; as at Shopify, only one who has no orders."""
    orders = store.tables["Order"]

    def has_none(customer: Customer) -> bool:
        return not len(orders.having("customer_id", customer.id))

    number = _chosen(store, "Customer", customer_id).id if customer_id else _newest(store, "Customer", has_none).id
    if len(orders.having("customer_id", number)):
        raise ChangeError(f"Customer {number} has orders and cannot be deleted.")
    store.delete("Customer", number)
    return {"customers": [number]}


def merge_customers(store: Store, winner_id: int, loser_id: int, *, touch_orders: bool = False) -> Touched:
    """Merge the loser into the winner: orders and checkouts move, the loser is gone.

    The orders' `updated_at` stays, unless they are touched: whoever mirrors a store cannot rely on it.
    """
    winner: Customer = _get(store, "Customer", winner_id)
    loser: Customer = _get(store, "Customer", loser_id)
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


# -- products


def create_product(
    store: Store, *, title: str | None = None, price: str = "10", sku: str | None = None, **fields: Any
) -> Touched:
    """A new product of one variant, with the fields of `update_product` besides."""
    number, now = store.new_id("Product"), store.now()
    named = title or f"New product {number}"
    variant = Variant(
        store.new_variant_id(), "Default Title", sku or f"NEW-{number}", None, _price(price), None, now, now
    )
    store.save("Product", Product(number, named, slug(named, number), "Acme", "", now, now, now, variants=[variant]))
    return update_product(store, number, **fields)


def update_product(
    store: Store,
    product_id: int | None = None,
    *,
    title: str | None = None,
    vendor: str | None = None,
    product_type: str | None = None,
    status: str | None = None,
    tags: list[str] | None = None,
    price: str | None = None,
) -> Touched:
    """Change these fields of a product; `price` is of its first variant."""
    product: Product = _chosen(store, "Product", product_id)
    given: Options = {"title": title, "vendor": vendor, "product_type": product_type, "tags": tags}
    _set_fields(product, given | {"status": status and _known(status, _PRODUCT_STATES)})
    product.updated_at = store.now()
    if price is not None:
        product.variants[0].price = _price(price)
        product.variants[0].updated_at = store.now()
    store.save("Product", product)
    return {"products": [product.id]}


def delete_product(store: Store, product_id: int | None = None) -> Touched:
    """Delete a product; lines of orders keep its title and lose the reference."""
    product: Product = _chosen(store, "Product", product_id)
    store.delete_product(product)
    return {"products": [product.id]}


# -- checkouts


def start_checkout(
    store: Store,
    *,
    customer_id: int | None = None,
    new_customer: bool = False,
    guest: bool = False,
    lines: int = 2,
) -> Touched:
    """A new abandoned checkout with so many drawn lines."""
    now, composer = store.now(), store.source.composer
    number = store.new_id("AbandonedCheckout")
    rng = store.rng(number)
    checkout = Checkout(
        number,
        now,
        now,
        f"{rng.getrandbits(128):032x}",
        store.spec.currency,
        store.spec.prices_include_taxes,
        composer.tax_rate,
        customer_id=_buyer(store, customer_id, new_customer=new_customer, guest=guest, seed=number),
        lines=[composer.checkout_line(rng, n) for n in range(1, lines + 1)],
    )
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [number]}


def _is_open(checkout: Checkout) -> bool:
    return checkout.completed_at is None


def update_checkout(store: Store, checkout_id: int | None = None) -> Touched:
    """One more line in an open checkout."""
    checkout: Checkout = _chosen(store, "AbandonedCheckout", checkout_id, _is_open)
    number = len(checkout.lines) + 1
    checkout.lines.append(store.source.composer.checkout_line(store.rng(checkout.id + number), number))
    checkout.updated_at = store.now()
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [checkout.id]}


def complete_checkout(store: Store, checkout_id: int | None = None) -> Touched:
    """Complete an open checkout: it becomes a paid order with its token."""
    checkout: Checkout = _chosen(store, "AbandonedCheckout", checkout_id, _is_open)
    now, source = store.now(), store.source
    number = store.new_id("Order")
    identity = (number, source.child_base(number), source.order_name(number))
    order = source.composer.header(store.rng(number), *identity, Moments(now, now), checkout.customer_id)
    order.checkout_token = checkout.token
    order.discount_codes = checkout.discount_codes
    order.lines = [_as_order_line(line) for line in checkout.lines]
    ledger.place(order, [line.quantity for line in checkout.lines], [line.discount for line in checkout.lines])
    ledger.pay(order, now)
    checkout.completed_at = checkout.updated_at = now
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [checkout.id], **_save_order(store, order)}


def _as_order_line(line: CheckoutLine) -> Line:
    return Line(
        line.number,
        line.title,
        line.unit_price,
        variant_title=line.variant_title,
        sku=line.sku,
        discount=line.discount,
        product_id=line.product_id,
        variant_id=line.variant_id,
    )


CHANGES: dict[str, Callable[..., Touched]] = {
    change.__name__: change
    for change in (
        place_order,
        edit_order,
        refund,
        cancel_order,
        delete_order,
        update_order,
        create_customer,
        update_customer,
        delete_customer,
        merge_customers,
        create_product,
        update_product,
        delete_product,
        start_checkout,
        update_checkout,
        complete_checkout,
    )
}
