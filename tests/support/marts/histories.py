"""Random histories of stores: what happens between one transform and the next, drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.marts.store import Node, Store

ROUNDS = 5
"""Transforms that a history is played through."""

ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Europe/Berlin")

MISDATES = ("0001-01-01T00:00:00Z", "1989-12-31T12:00:00Z", "2999-01-01T00:00:00Z", "12026-11-01T00:00:00Z")
"""Instants that PostgreSQL holds, at which nothing can have happened."""

# Clocks were set forward in New York on 8 March and in Berlin on 29 March 2026: hours 1600 to 2100 after opening.
_HOURS = st.integers(1500, 2300) | st.integers(0, 5000)


@dataclass(frozen=True)
class Event:
    """Something that happens, to objects chosen by number among those there are."""

    kind: str
    first: int
    second: int
    hour: int


@dataclass(frozen=True)
class History:
    """A store's time zone, when it joins, and what happens in it, round by round."""

    zone: str
    joins: int
    rounds: tuple[tuple[Event, ...], ...]


def histories() -> st.SearchStrategy[History]:
    """Histories, most of them of a few customers who come again."""
    kinds = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
    event = st.builds(Event, st.sampled_from(kinds), st.integers(0, 9), st.integers(0, 9), _HOURS)
    rounds = st.tuples(*(st.lists(event, max_size=12).map(tuple) for _ in range(ROUNDS)))
    return st.builds(History, st.sampled_from(ZONES), st.integers(0, ROUNDS - 1), rounds)


def play(store: Store, event: Event) -> str | None:
    """Let an event happen; nothing does where there is nothing for it to happen to.

    Returns:
        The time zone that the shop moves to, where that is what happens.
    """
    if event.kind == "move_shop":
        return ZONES[event.first % len(ZONES)]
    _HAPPEN[event.kind](store, event)
    return None


def _pick(objects: Mapping[int, Node], choice: int) -> int | None:
    return sorted(objects)[choice % len(objects)] if objects else None


def _pick_or_guest(store: Store, event: Event) -> int | None:
    return None if event.first == 9 else _pick(store.customers, event.first)


def _place(store: Store, event: Event) -> None:
    product = _pick(store.products, event.second)
    store.place_order(_pick_or_guest(store, event), event.hour, product=product)


def _place_gift_card(store: Store, event: Event) -> None:
    store.place_order(_pick_or_guest(store, event), event.hour, product=None, line_type="GIFT_CARD")


def _place_abroad(store: Store, event: Event) -> None:
    """Before the shop had the currency that it has."""
    product = _pick(store.products, event.second)
    store.place_order(_pick_or_guest(store, event), event.hour, product=product, currencyCode="USD")


def _merge(store: Store, event: Event) -> None:
    winner, loser = _pick(store.customers, event.first), _pick(store.customers, event.second)
    if winner is not None and loser is not None and winner != loser:
        store.merge_customers(winner, loser)


def _complete(store: Store, event: Event) -> None:
    checkout = _pick({n: c for n, c in store.checkouts.items() if c["completedAt"] is None}, event.first)
    if checkout is not None:
        store.complete_checkout(checkout, event.hour)


def _to_order(change: Callable[[Store, int, Event], object]) -> Callable[[Store, Event], None]:
    def happen(store: Store, event: Event) -> None:
        order = _pick(store.orders, event.first)
        if order is not None:
            change(store, order, event)

    return happen


def _to(kind: str, change: Callable[[Store, int], None]) -> Callable[[Store, Event], None]:
    def happen(store: Store, event: Event) -> None:
        number = _pick(getattr(store, kind), event.first)
        if number is not None:
            change(store, number)

    return happen


def _order_cart(store: Store, event: Event) -> None:
    cart = _pick(store.carts, event.first)
    if cart is not None:
        store.order_cart(cart, _pick_or_guest(store, event), event.hour)


def _misdating(event: Event) -> tuple[str, str]:
    """Which instant of an order becomes which that cannot be."""
    whats = ("processedAt", "processedAt", "happenedAt", "cancelledAt")
    return whats[event.second % 4], MISDATES[event.hour % len(MISDATES)]


_HAPPEN: dict[str, Callable[[Store, Event], object]] = {
    "add_customer": lambda store, event: store.add_customer(),
    "update_customer": _to("customers", Store.update_customer),
    "delete_customer": _to("customers", Store.delete_customer),
    "merge_customers": _merge,
    "add_product": lambda store, event: store.add_product(),
    "update_product": _to("products", Store.update_product),
    "delete_product": _to("products", Store.delete_product),
    "leave_checkout": lambda store, event: store.leave_checkout(_pick_or_guest(store, event), event.hour),
    "complete_checkout": _complete,
    "fill_cart": lambda store, event: store.fill_cart(event.hour),
    "change_cart": lambda store, event: _to("carts", lambda s, cart: s.change_cart(cart, event.second))(store, event),
    "order_cart": _order_cart,
    "place_order": _place,
    "place_gift_card": _place_gift_card,
    "place_abroad": _place_abroad,
    "edit_order": _to_order(lambda s, order, event: s.edit_order(order, event.hour, _pick(s.products, event.second))),
    "refund": _to_order(lambda store, order, event: store.refund(order, event.hour)),
    "exchange": _to_order(lambda s, order, event: s.exchange(order, event.hour, _pick(s.products, event.second))),
    "cancel": _to_order(lambda store, order, event: store.cancel(order, event.hour)),
    "revive": _to("orders", Store.revive),
    "mark_test": _to("orders", Store.mark_test),
    "move_order": _to_order(lambda store, order, event: store.move_order(order, event.hour)),
    "misdate": _to_order(lambda store, order, event: store.misdate(order, *_misdating(event))),
    "reassign": _to_order(lambda s, order, event: s.reassign(order, _pick(s.customers, event.second))),
    "delete_order": _to("orders", Store.delete_order),
}

_WEIGHTS = {**dict.fromkeys(_HAPPEN, 1), "place_order": 8, "add_customer": 3, "refund": 2, "misdate": 2, "move_shop": 1}
