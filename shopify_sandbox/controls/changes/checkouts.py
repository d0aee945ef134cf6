"""Checkouts abandoned, changed, completed."""

from __future__ import annotations

from shopify_sandbox.controls.changes.orders import buyer_of, save_order
from shopify_sandbox.controls.changes.subject import Touched, chosen
from shopify_sandbox.generator.composer import Moments
from shopify_sandbox.model import ledger
from shopify_sandbox.model.objects import Checkout, CheckoutLine
from shopify_sandbox.model.order import Line
from shopify_sandbox.state.store import Store


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
        customer_id=buyer_of(store, customer_id, new_customer=new_customer, guest=guest, seed=number),
        lines=[composer.checkout_line(rng, n) for n in range(1, lines + 1)],
    )
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [number]}


def _is_open(checkout: Checkout) -> bool:
    return checkout.completed_at is None


def update_checkout(store: Store, checkout_id: int | None = None) -> Touched:
    """One more line in an open checkout."""
    checkout: Checkout = chosen(store, "AbandonedCheckout", checkout_id, _is_open)
    number = len(checkout.lines) + 1
    checkout.lines.append(store.source.composer.checkout_line(store.rng(checkout.id + number), number))
    checkout.updated_at = store.now()
    store.save("AbandonedCheckout", checkout)
    return {"checkouts": [checkout.id]}


def complete_checkout(store: Store, checkout_id: int | None = None) -> Touched:
    """Complete an open checkout: it becomes a paid order with its token."""
    checkout: Checkout = chosen(store, "AbandonedCheckout", checkout_id, _is_open)
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
    return {"checkouts": [checkout.id], **save_order(store, order)}


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
