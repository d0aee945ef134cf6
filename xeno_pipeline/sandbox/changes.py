"""What can happen in a store: orders placed, edited, refunded, customers merged, products renamed, and so on.

Every change takes a store and options (all of them optional; what is left open is drawn or chosen), and returns
the ids it touched by kind. Times are the store's clock; `updated_at` moves on exactly those objects.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from xeno_pipeline.sandbox import ledger
from xeno_pipeline.sandbox.catalog import slug
from xeno_pipeline.sandbox.composer import Moments
from xeno_pipeline.sandbox.ledger import Line, Order
from xeno_pipeline.sandbox.money import PRICE_ONE, divide, price_units
from xeno_pipeline.sandbox.objects import Checkout, CheckoutLine, Customer, Product, Variant
from xeno_pipeline.sandbox.store import Store
from xeno_pipeline.sandbox.times import instant

Options = dict[str, Any]
Touched = dict[str, list[int]]

_CUSTOMER_FIELDS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "country",
    "locale",
    "state",
    "tags",
    "marketing_state",
)
_PRODUCT_FIELDS = ("title", "vendor", "product_type", "status", "tags")
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


def _order(store: Store, options: Options, wanted: Callable[[Order], bool] = lambda _: True) -> Order:
    """The order that is named, or the newest that will do."""
    if "order_id" not in options:
        order: Order = _newest(store, "Order", wanted)
        return order
    order = _get(store, "Order", options["order_id"])
    if not wanted(order):
        raise ChangeError(f"Order {order.id} is not in a state for this.")
    return order


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


def _buyer(store: Store, options: Options, seed: int) -> int | None:
    """The customer that is named, a new one, nobody, or anybody."""
    if options.get("guest"):
        return None
    if options.get("new_customer"):
        return create_customer(store, {})["customers"][0]
    if "customer_id" in options:
        return int(_get(store, "Customer", options["customer_id"]).id)
    table = store.tables["Customer"]
    rows = np.flatnonzero(table.alive)
    return int(table.columns["id"][store.rng(seed).choice(rows.tolist())]) if len(rows) else None


def place_order(store: Store, options: Options) -> Touched:
    """A new order.

    Options: `customer_id`, `new_customer` or `guest`; `lines` of `{variant_id or sku, quantity, price, discount,
    title}` (else a drawn basket); `shipping` (price); `discount_codes`, `tags`; `processed_at`; `test`; `paid` and
    `fulfilled` (true and false by default); `currency` the buyer pays in.
    """
    now, source = store.now(), store.source
    number = store.new_id("Order")
    processed = instant(datetime.fromisoformat(options["processed_at"])) if "processed_at" in options else now
    customer_id = _buyer(store, options, number)
    rng, at = store.rng(number), Moments(now, processed)
    identity = (number, source.child_base(number), source.order_name(number))
    test = bool(options.get("test", False))
    if "lines" in options:
        order = source.composer.header(rng, *identity, at, customer_id, test=test)
        order.lines = [_new_line(store, n, line, n) for n, line in enumerate(options["lines"], start=1)]
        quantities = [int(line.get("quantity", 1)) for line in options["lines"]]
        shipping = (_minor(store, options["shipping"]), 0) if "shipping" in options else None
        ledger.place(order, quantities, [line.discount for line in order.lines], shipping)
        if options.get("paid", True):
            ledger.pay(order, now)
    else:
        order = source.composer.compose(rng, *identity, at, customer_id=customer_id, test=test)
        if not options.get("paid", True):
            order.transactions.clear()
    for name in ("tags", "discount_codes"):
        setattr(order, name, list(options.get(name, getattr(order, name))))
    if options.get("fulfilled"):
        ledger.fulfill(order, now, sum(ledger.remaining(order).values()))
    return _save_order(store, order)


def edit_order(store: Store, options: Options) -> Touched:
    """Edit an order.

    Options: one of `add` (a line as in `place_order`), `remove` (a line's id, or true for the first),
    `set_quantity` (`{line_id, quantity}`), `discount` (`{line_id, amount}`); without any, a drawn line is added.
    """
    order, now = _order(store, options, _is_whole), store.now()
    if "remove" in options:
        position = _line(order, None if options["remove"] is True else options["remove"])
        ledger.remove_units(order, now, position, order.units(position))
    elif "set_quantity" in options:
        position = _line(order, options["set_quantity"].get("line_id"))
        more = int(options["set_quantity"]["quantity"]) - order.units(position)
        if more > 0:
            ledger.add_units(order, now, position, more)
        else:
            ledger.remove_units(order, now, position, -more)
    elif "discount" in options:
        position = _line(order, options["discount"].get("line_id"))
        amount = _minor(store, options["discount"]["amount"])
        ledger.discount_line(order, now, position, amount)
    else:
        wanted = options.get("add", {})
        line = _new_line(store, max(line.number for line in order.lines) + 1, wanted, now)
        ledger.add_line(order, now, line, int(wanted.get("quantity", 1)))
    return _save_order(store, order)


def refund(store: Store, options: Options) -> Touched:
    """Refund an order.

    Options: `lines` of `{line_id, quantity}`, or `partial` (one unit of the first line), else everything left;
    `shipping` (true by default when everything is refunded); `adjustment`: an amount the customer gets less
    (more, if negative).
    """
    order = _order(store, options, lambda order: _is_whole(order) and order.received > order.refunded)
    left = ledger.remaining(order)
    whole = not ("lines" in options or options.get("partial") or "adjustment" in options)
    if "lines" in options:
        units = {_line(order, line["line_id"]): int(line.get("quantity", 1)) for line in options["lines"]}
    elif options.get("partial"):
        units = {next(iter(left)): 1}
    else:
        units = left if whole else {}
    charges: tuple[str, ...] = ledger.FEES if whole else ()
    if "shipping" in options:
        charges = ("SHIPPING",) if options["shipping"] else ()
    adjustment = _minor(store, options.get("adjustment", "0"))
    ledger.refund(order, store.now(), units, charges=charges, adjustment=adjustment)
    return _save_order(store, order)


def cancel_order(store: Store, options: Options) -> Touched:
    """Cancel an order, for a `reason` (CUSTOMER by default)."""
    order = _order(store, options, lambda order: order.cancelled_at is None)
    ledger.cancel(order, store.now(), str(options.get("reason", "CUSTOMER")))
    return _save_order(store, order)


def delete_order(store: Store, options: Options) -> Touched:
    """Delete an order."""
    order = _order(store, options)
    store.delete("Order", order.id)
    touched = {"orders": [order.id]}
    _touch_customer(store, order.customer_id, touched)
    return touched


def update_order(store: Store, options: Options) -> Touched:
    """Change `tags`, `source_name` or `test` of an order; nothing else moves."""
    order = _order(store, options)
    order.tags = [str(tag) for tag in options.get("tags", [*order.tags, "updated"])]
    order.source_name = options.get("source_name", order.source_name)
    order.test = bool(options.get("test", order.test))
    order.updated_at = store.now()
    store.save("Order", order)
    return {"orders": [order.id]}


# -- customers


def _set_fields(target: Any, options: Options, names: tuple[str, ...]) -> None:
    for name in names:
        if name in options:
            setattr(target, name, options[name])


def create_customer(store: Store, options: Options) -> Touched:
    """A new customer: `first_name`, `last_name`, `email`, `phone`, `country`, `locale`, `state`, `tags`."""
    number = store.new_id("Customer")
    customer = Customer(number, store.now(), store.now(), email=f"customer.{number}@example.com")
    return _save_customer(store, customer, options)


def update_customer(store: Store, options: Options) -> Touched:
    """Change a customer (the newest, if none is named): the fields of `create_customer`."""
    named = options.get("customer_id")
    customer = _newest(store, "Customer", lambda _: True) if named is None else _get(store, "Customer", named)
    return _save_customer(store, customer, options)


def _save_customer(store: Store, customer: Customer, options: Options) -> Touched:
    _set_fields(customer, options, _CUSTOMER_FIELDS)
    customer.has_address = customer.has_address or "country" in options
    customer.updated_at = store.now()
    store.save("Customer", customer)
    return {"customers": [customer.id]}


def delete_customer(store: Store, options: Options) -> Touched:
    """Delete a customer; as at Shopify, only one who has no orders."""
    named = options.get("customer_id")
    orders = store.tables["Order"]
    if named is None:
        named = _newest(store, "Customer", lambda c: not len(orders.having("customer_id", c.id))).id
    _row(store, "Customer", named)
    if len(orders.having("customer_id", int(named))):
        raise ChangeError(f"Customer {named} has orders and cannot be deleted.")
    store.delete("Customer", int(named))
    return {"customers": [int(named)]}


def merge_customers(store: Store, options: Options) -> Touched:
    """Merge `loser_id` into `winner_id`: orders and checkouts move, the loser is gone.

    The orders' `updated_at` stays, unless `touch_orders` is true: whoever mirrors a store cannot rely on it.
    """
    winner: Customer = _get(store, "Customer", options["winner_id"])
    loser: Customer = _get(store, "Customer", options["loser_id"])
    if winner.id == loser.id:
        raise ChangeError("A customer cannot be merged into itself.")
    moved = []
    for row in store.tables["Order"].having("customer_id", loser.id).tolist():
        order: Order = store.object("Order", row)
        order.customer_id = winner.id
        if options.get("touch_orders"):
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


def create_product(store: Store, options: Options) -> Touched:
    """A new product of one variant: `title`, `vendor`, `product_type`, `status`, `tags`, `price`, `sku`."""
    number, now = store.new_id("Product"), store.now()
    title = str(options.get("title", f"New product {number}"))
    variant = Variant(
        store.new_variant_id(),
        "Default Title",
        options.get("sku", f"NEW-{number}"),
        None,
        _price(options.get("price", "10")),
        None,
        now,
        now,
    )
    product = Product(number, title, slug(title, number), "Acme", "", now, now, now, variants=[variant])
    _set_fields(product, options, _PRODUCT_FIELDS)
    store.save("Product", product)
    return {"products": [number]}


def update_product(store: Store, options: Options) -> Touched:
    """Change a product (the newest, if none is named): the fields of `create_product`, `price` of its first variant."""
    named = options.get("product_id")
    product: Product = _newest(store, "Product", lambda _: True) if named is None else _get(store, "Product", named)
    _set_fields(product, options, _PRODUCT_FIELDS)
    product.updated_at = store.now()
    if "price" in options:
        product.variants[0].price = _price(options["price"])
        product.variants[0].updated_at = store.now()
    store.save("Product", product)
    return {"products": [product.id]}


def delete_product(store: Store, options: Options) -> Touched:
    """Delete a product (the newest, if none is named); lines of orders keep its title and lose the reference."""
    named = options.get("product_id")
    product: Product = _newest(store, "Product", lambda _: True) if named is None else _get(store, "Product", named)
    store.delete_product(product)
    return {"products": [product.id]}


# -- checkouts


def start_checkout(store: Store, options: Options) -> Touched:
    """A new abandoned checkout, of `customer_id` (or anybody), with `lines` drawn lines (two by default)."""
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
        customer_id=_buyer(store, options, number),
        lines=[composer.checkout_line(rng, n) for n in range(1, int(options.get("lines", 2)) + 1)],
    )
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [number]}


def _checkout(store: Store, options: Options) -> Checkout:
    def is_open(checkout: Checkout) -> bool:
        return checkout.completed_at is None

    named = options.get("checkout_id")
    checkout: Checkout = (
        _newest(store, "AbandonedCheckout", is_open) if named is None else _get(store, "AbandonedCheckout", named)
    )
    if not is_open(checkout):
        raise ChangeError(f"Checkout {checkout.id} is completed.")
    return checkout


def update_checkout(store: Store, options: Options) -> Touched:
    """One more line in an open checkout (the newest, if none is named)."""
    checkout = _checkout(store, options)
    number = len(checkout.lines) + 1
    checkout.lines.append(store.source.composer.checkout_line(store.rng(checkout.id + number), number))
    checkout.updated_at = store.now()
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [checkout.id]}


def complete_checkout(store: Store, options: Options) -> Touched:
    """Complete an open checkout (the newest, if none is named): it becomes a paid order with its token."""
    checkout, now, source = _checkout(store, options), store.now(), store.source
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


CHANGES: dict[str, Callable[[Store, Options], Touched]] = {
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
