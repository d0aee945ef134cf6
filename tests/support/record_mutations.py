"""Spoils records as no schema allows: types swapped, nulls, huge numbers, odd dates and characters, unknown kinds."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

Record = dict[str, Any]

_GID = re.compile(r"gid://shopify/(\w+)/(\d+)")

_numbers = count(50_000_000_000_000)


def renumbered(record: Record) -> Record:
    """A record, and all in it, with ids that no other has."""
    numbers: dict[str, int] = {}

    def renumber(found: re.Match[str]) -> str:
        number = numbers.setdefault(found.group(), next(_numbers))
        return f"gid://shopify/{found.group(1)}/{number}"

    return _with_texts(record, lambda text: _GID.sub(renumber, text))


def spoilt(record: Record, rng: random.Random) -> Record:
    """A copy of a record with something wrong in one place, or in two."""
    copied = copy.deepcopy(record)
    for _ in range(rng.choice((1, 1, 1, 2))):
        holder, key = rng.choice(list(_places(copied)))
        rng.choice((_replace, _replace, _replace, _replace, _remove, _add, _swap, _wrap))(holder, key, rng)
    return copied


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Whatever can be spoilt: a container, and a key or index of it. How pages follow each other is no record's."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if key != "pageInfo":
            yield value, key
            yield from _places(item)


def _replace(holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = rng.choice(_ODD)(rng)


def _remove(holder: Any, key: Any, rng: random.Random) -> None:
    del holder[key]


def _add(holder: Any, key: Any, rng: random.Random) -> None:
    name = rng.choice(("more", "", "a\x00b", "\ud800", "__parentId", "variants", "sales", "nodes", "é" * 300))
    if isinstance(holder, dict):
        holder[name] = rng.choice(_ODD)(rng)
    else:
        holder.append(rng.choice(_ODD)(rng))


def _swap(holder: Any, key: Any, rng: random.Random) -> None:
    other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if "pageInfo" not in (key, other):
        holder[key], holder[other] = holder[other], holder[key]


def _wrap(holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = [holder[key]] if rng.random() < 0.5 else {"id": holder[key]}


def _gid(rng: random.Random) -> str:
    kind = rng.choice(("Order", "Product", "Customer", "LineItem", "SalesAgreement", "Sale", "AbandonedCheckout", "X"))
    return f"gid://shopify/{kind}/{next(_numbers)}"


_TEXTS = (
    *("", " ", "x", "true", "null", "NaN", "Infinity", "-Infinity", "1e17", "1e-400", "1e400", "0x10", "1_000", "١٢"),
    *("-0.00", "999999999999.99", "1000000000000", "-1e12", "12.5.1", "+5", ".5", "5.", "9" * 400),
    *("0000-12-30T00:00:00Z", "0001-01-01T00:00:00Z", "12026-11-01T00:00:00Z", "294276-12-31T23:59:59Z"),
    *("294277-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2024-02-29T24:00:00Z"),
    *("2016-12-31T23:59:60Z", "2026-11-01", "2026-11-01T00:00:00", "2026-11-01T00:00:00+25:00", "-infinity", "now"),
    *("2026-W01-1T00:00:00Z", "2026-11-01T100000.1Z", "２０２６-11-01T00:00:00Z", "2026-11-01T00:00:00.1234567+02:00"),
    *(
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfffx\ud800",
        "\\N",
        "\\.",
        "\\u0000",
        "\t\r\n\x0b\x1f\x7f",
        '{"a',
        "}{",
        "\u202e",
    ),
    *("\U0001f9e6", "UNKNOWN_VALUE", "TeleportationSale", "BarterAgreement", "Sale", "Bestellung", "Order", "LineItem"),
    *("gid://shopify/Order/0", "gid://shopify/Order/-1", "gid://shopify/Order/9223372036854775808", "gid://shopify/"),
    *("gid://shopify/Order/" + "9" * 5000, "gid://shopify/Sale/" + "x" * 10_000, "x" * 100_000),
)
_OTHERS: tuple[Any, ...] = (
    *(None, None, None, True, False, 0, -1, 1, 1.5, 1e308, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, 10**30),
    *([], {}, [None], [[]], {"id": None}, {"amount": "1.00"}, {"shopMoney": None}, ["x", 1], [{}], {"nodes": 5}),
)
_ODD: tuple[Callable[[random.Random], Any], ...] = (
    lambda rng: rng.choice(_TEXTS),
    lambda rng: rng.choice(_TEXTS),
    lambda rng: copy.deepcopy(rng.choice(_OTHERS)),
    lambda rng: copy.deepcopy(rng.choice(_OTHERS)),
    _gid,
)


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_with_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _with_texts(item, change) for key, item in value.items()}
    return value
