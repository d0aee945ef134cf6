"""Carts of the online store: filled, changed, and made into an order. No API shows them; webhooks report them."""

from __future__ import annotations

from typing import Any

from shopify_sandbox.controls.changes.orders import place_order
from shopify_sandbox.controls.changes.subject import ChangeError, Touched
from shopify_sandbox.model.money import PRICE_DECIMALS, decimal_string
from shopify_sandbox.model.times import iso
from shopify_sandbox.state.store import Store

_NAME = "carts"


def carts_of(store: Store) -> dict[str, Any]:
    """The store's carts by their numbers, as their webhooks report them."""
    carts: dict[str, Any] = store.overlay.setting(_NAME, {})
    return carts


def fill_cart(store: Store, *, lines: int = 1) -> Touched:
    """A new cart with so many drawn lines, of one unit each."""
    carts = carts_of(store)
    number = len(carts) + 1
    token = f"{store.rng(number).getrandbits(128):032x}"
    cart = {"id": token, "token": token, "note": None, "created_at": iso(store.now())}
    return _keep(store, number, cart | {"line_items": _drawn(store, number, lines)})


def change_cart(store: Store, cart: int, *, lines: int) -> Touched:
    """Replace a cart's lines with so many new ones; none empties it."""
    found = _named(store, cart)
    return _keep(store, cart, found | {"line_items": _drawn(store, cart + lines, lines)})


def order_cart(store: Store, cart: int, **options: Any) -> Touched:
    """An order of a cart; it takes the options of `place_order`."""
    return place_order(store, cart_token=_named(store, cart)["token"], **options)


def _named(store: Store, number: int) -> dict[str, Any]:
    carts = carts_of(store)
    if str(number) not in carts:
        raise ChangeError(f"There is no cart {number}.")
    found: dict[str, Any] = carts[str(number)]
    return found


def _keep(store: Store, number: int, cart: dict[str, Any]) -> Touched:
    cart["updated_at"] = iso(store.now())
    store.overlay.set(_NAME, carts_of(store) | {str(number): cart})
    return {_NAME: [number]}


def _drawn(store: Store, seed: int, count: int) -> list[dict[str, Any]]:
    rng = store.rng(seed)
    lines = [store.source.composer.checkout_line(rng, number) for number in range(1, count + 1)]
    return [
        {
            "id": line.variant_id,
            "product_id": line.product_id,
            "variant_id": line.variant_id,
            "sku": line.sku,
            "title": line.title,
            "quantity": 1,
            "properties": None,
            "line_price": decimal_string(line.unit_price, PRICE_DECIMALS),
            "line_price_set": {
                "shop_money": {
                    "amount": decimal_string(line.unit_price, PRICE_DECIMALS),
                    "currency_code": store.spec.currency,
                }
            },
        }
        for line in lines
    ]
