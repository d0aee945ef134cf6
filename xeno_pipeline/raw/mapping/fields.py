"""Getters of single fields: each gives a value in COPY's text format, or says why the value does not fit."""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from typing import Any

from xeno_pipeline.raw.copy_format import NULL, InvalidValueError, amount, bigint, instant, text
from xeno_pipeline.shopify import records
from xeno_pipeline.shopify.records import number_of

Node = dict[str, Any]

Mapped = tuple[str, str, tuple[str, ...], Node]
"""A table's name, the row's id, its columns, and the node to keep as its payload."""

Fields = frozenset[str]

_GID = "gid://shopify/"
_LONGEST_GID = 255
_SAFE_DIGITS = 19
"""A number with fewer digits certainly fits into 64 bits."""

_PLAIN_GID = re.compile(rf"{_GID}[A-Za-z]{{1,100}}/[0-9]{{1,100}}")


@lru_cache(1 << 14)
def clock(value: Any) -> str:
    """When an object was created or changed, by Shopify's clock. Required."""
    if value is None:
        raise InvalidValueError("is missing")
    shown = instant(value)
    if records.clock(value) is None:
        raise InvalidValueError("is before 1990 or more than a year ahead")
    return shown


def count(value: Any) -> str:
    """A number of things: a whole number of 64 bits, zero or more."""
    shown = bigint(value)
    if shown[0] == "-":
        raise InvalidValueError("is less than nothing")
    return shown


def required(shown: str) -> str:
    """The value itself, which must not be null."""
    if shown == NULL:
        raise InvalidValueError("is missing")
    return shown


def is_gid(value: Any) -> bool:
    """Whether a value is a gid of usual length."""
    return isinstance(value, str) and value.startswith(_GID) and len(value) <= _LONGEST_GID and value.isascii()


def object_id(node: Node, kind: str) -> str:
    """The number in the gid of an object that has no parent."""
    if "__parentId" in node:
        raise InvalidValueError("is of an object that names a parent")
    return gid_number(node["id"], kind)


def gid_number(gid: str, kind: str) -> str:
    """The number in a gid of a kind."""
    prefix, length = _prefix_of(kind)
    if not gid.startswith(prefix):
        raise InvalidValueError(f"is no id of a {kind}")
    number = gid[length:]
    if number.isdecimal() and len(number) < _SAFE_DIGITS and number.isascii() and number[0] != "0":
        return number
    return any_gid_number(gid)


@cache
def _prefix_of(kind: str) -> tuple[str, int]:
    prefix = f"{_GID}{kind}/"
    return prefix, len(prefix)


def text_gid(gid: str) -> str:
    """A whole gid: those of agreements and sales need not end in a number."""
    if _PLAIN_GID.fullmatch(gid):
        return gid
    if not is_gid(gid):
        raise InvalidValueError("is no id")
    return text(gid)


def any_gid_number(gid: str) -> str:
    """The number in a gid of any kind."""
    number = gid.rpartition("/")[2]
    if number.isdecimal() and len(number) < _SAFE_DIGITS and number.isascii() and number[0] != "0":
        return number
    parsed = number_of(gid)
    if parsed is None:
        raise InvalidValueError("is no id")
    return str(parsed)


def reference(node: Node | None) -> str:
    """The number of a referenced object."""
    return NULL if node is None else any_gid_number(node["id"])


def shop_amount(money_bag: Node | None) -> str:
    """The amount in the shop's currency."""
    return NULL if money_bag is None else amount(money_bag["shopMoney"]["amount"])


def remainder(node: Node, typed: Fields, amounts: Fields = frozenset(), personal: Fields = frozenset()) -> Node:
    """What a node says that no column of its row does, to be kept as the row's payload.

    What is left out can be told from the row: a field that the columns hold; one that is null, since `query_version`
    says which fields were selected; and an amount in the customer's currency that is the one in the shop's.

    Args:
        node: as it was selected.
        typed: its fields that columns hold as they are.
        amounts: those of which a column holds the amount in the shop's currency, which is that of the order.
        personal: those that stay even if they are null, as a redaction leaves them.
    """
    kept: Node = {}
    for name, value in node.items():
        if name in typed or (value is None and name not in personal):
            continue
        if type(value) is dict and "presentmentMoney" in value:
            if name not in amounts:
                kept[name] = value if value["presentmentMoney"] != value.get("shopMoney") else _shop_money(value)
            elif value["presentmentMoney"] != value["shopMoney"]:
                kept[name] = {"presentmentMoney": value["presentmentMoney"]}
        else:
            kept[name] = value
    return kept


def _shop_money(money_bag: Node) -> Node:
    return {name: money for name, money in money_bag.items() if name != "presentmentMoney"}


def country_code(address: Node | None) -> str:
    """The country code of an address."""
    return NULL if address is None else text(address["countryCodeV2"])


def records_in(nodes: Any) -> list[Node]:
    """A list of child nodes."""
    if type(nodes) is not list:
        raise InvalidValueError("is no list of records")
    return nodes


def cart_number(token: str) -> int:
    """A number for a cart, which Shopify names by a text: 63 bits of its digest, so that two carts do not collide."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big") >> 1
