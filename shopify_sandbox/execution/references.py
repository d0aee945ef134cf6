"""References between root objects: a document holds a stub, and this tells what the API answers for it."""

from __future__ import annotations

from shopify_sandbox.model.money import Document
from shopify_sandbox.state.store import Store

REFERENCES = {
    ("Order", "customer"),
    ("LineItem", "product"),
    ("LineItem", "variant"),
    ("AbandonedCheckout", "customer"),
    ("AbandonedCheckoutLineItem", "product"),
    ("AbandonedCheckoutLineItem", "variant"),
}
STUB_FIELDS = {"__typename", "id"}


def parse_gid(gid: str) -> tuple[str, int] | None:
    """Kind and number of a global id; None where it is none."""
    parts = gid.split("?")[0].split("/")
    if parts[:3] != ["gid:", "", "shopify"] or len(parts) != 5 or not parts[4].isdecimal():
        return None
    return parts[3], int(parts[4])


def resolve(store: Store, stub: Document | None, *, whole: bool) -> Document | None:
    """What a reference leads to: nothing once it is deleted, else its stub or, if more is asked for, the whole."""
    if stub is None or stub["id"] in store.deleted:
        return None
    if not whole:
        return stub
    parsed = parse_gid(stub["id"])
    return None if parsed is None else store.find(*parsed)
