"""Payloads with something wrong in them: the same for the same seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

_LOOKED_AT = frozenset(
    (
        *("id", "admin_graphql_api_id", "order_id", "order_edit", "token", "created_at", "updated_at", "line_items"),
        *("quantity", "product_id", "variant_id", "sku", "title", "line_price", "line_price_set", "shop_money"),
        *("amount", "currency_code", "status", "myshopify_domain", "shop_id", "customer", "data_request"),
        *("orders_requested", "orders_to_redact"),
        *("admin_graphql_api_customer_kept_id", "admin_graphql_api_customer_deleted_id"),
    )
)
"""Fields that something is read of: they are chosen more often."""

ODD_DATES = (
    *("0000-12-30T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1066-10-14T12:00:00Z"),
    *("1989-12-31T23:59:59Z", "2027-06-30T12:00:00Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("9999-12-31T23:59:59-12:00", "12026-11-01T00:00:00Z", "-0044-03-15T12:00:00Z", "2026-13-01T00:00:00Z"),
    *("2026-02-30T00:00:00Z", "2026-06-30T24:00:00Z", "2026-06-30T23:59:60Z", "2026-06-30T12:00:00"),
    *("2026-06-30T12:00:00+23:59", "2026-06-30T12:00:00-23:59", "2026-06-30T12:00:00+05:53:28"),
    *("2026-06-30T12:00:00.123456789123Z", "2026-W27-2T12:00:00Z", "20260630T120000Z", "2026-06-30", "infinity", "now"),
)
_NUMBERS = (
    *(0, -1, 1, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -(2**63) - 1),
    *(0.0, -0.0, 0.1, 1e-7, 1.5, 1e3, 1e16, 1e22, 1e300, float("nan"), float("inf")),
)
_TEXTS = (
    *("", " ", "0", "1", "-1", "1e17", "1e400", "NaN", "Infinity", "0x10", "99999999999999999999", "1000000000000.00"),
    *(
        "999999999999.999999",
        "-999999999999.999999",
        "0.0000001",
        "12,50",
        "true",
        "null",
        "EUR",
        "eur",
        "gid://shopify/",
    ),
    *("gid://shopify/Order/0", "gid://shopify/Order/9223372036854775808", "gid://shopify/Customer/7", "completed"),
    *("\0", "a\0b", "\x01\x1f\x7f\x85", "\u2028\u2029", "\ud800", "\udc00a", "a\ud83d", "\U0001f600" * 300, "é" * 300),
    *("x" * 255, "x" * 256, "x" * 20_000, "'; drop table ops.tenants; --", "\\", "\\N", "\t\n\r", "{}", "%s", "$1"),
)
_AMOUNTS = (
    *(
        "1000000000000.00",
        "99999999999999.99",
        "-99999999999999",
        "999999999999.999999",
        "1e17",
        "NaN",
        "-0",
        "0.00000001",
    ),
    *(10**12, 10**17, 1e16, -1e300, 0.1, 5),
)
_THINGS = (None, True, False, [], {}, [None], [[]], {"": None}, {"\0": "\0"}, [{"quantity": 1}] * 501)

_Place = tuple[Any, Any]
"""A container, and the key or index of something in it."""


def mutated(random: Random, payload: Any) -> bytes:
    """A payload's body with one to four things wrong in it."""
    root = [copy.deepcopy(payload)]
    for _ in range(random.choice((1, 1, 2, 4))):
        places = list(_places(root)) or [(root := [None], 0)]
        looked_at = [place for place in places if place[1] in _LOOKED_AT]
        container, key = random.choice(looked_at if looked_at and random.random() < 0.8 else places)
        likely = _LIKELY.get(key) if random.random() < 0.6 else None
        (likely or random.choice(_CHANGES))(random, container, key)
    body = json.dumps(root[0] if root else None, ensure_ascii=random.random() < 0.7).encode(errors="surrogatepass")
    return random.choice(_SPOILINGS)(random, body) if random.random() < 0.15 else body


def _places(container: Any) -> Iterator[_Place]:
    for key in container if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])


def _replace(random: Random, container: Any, key: Any) -> None:
    container[key] = copy.deepcopy(random.choice(random.choice((ODD_DATES, _NUMBERS, _TEXTS, _THINGS))))


def _swap_type(random: Random, container: Any, key: Any) -> None:
    value = container[key]
    if isinstance(value, str):
        container[key] = random.choice(
            [[value], {"value": value}, len(value), value.encode(errors="surrogatepass").hex()]
        )
    elif isinstance(value, int | float):
        container[key] = random.choice([str(value), float(value), [value], -value, value * 10**12])
    else:
        container[key] = json.dumps(value)


def _spoil_text(random: Random, container: Any, key: Any) -> None:
    text = str(container[key])[:2000]
    place = random.randint(0, len(text))
    spoilt = random.choice(["\0", "\0", "\x0b", "\ud83d", "\udfff", "\ufeff"])
    container[key] = text[:place] + spoilt + text[place:]


def _date(random: Random, container: Any, key: Any) -> None:
    container[key] = random.choice(ODD_DATES)


def _amount(random: Random, container: Any, key: Any) -> None:
    container[key] = random.choice(_AMOUNTS)


def _remove(_: Random, container: Any, key: Any) -> None:
    del container[key]


def _add(random: Random, container: Any, key: Any) -> None:
    added = copy.deepcopy(random.choice(random.choice((_NUMBERS, _TEXTS, _THINGS))))
    if isinstance(container, dict):
        container[random.choice(["unheard_of", "__proto__", "a\0", "\ud800", "x" * 300, "deleted_gid"])] = added
    else:
        container.append(added)


def _multiply(random: Random, container: Any, key: Any) -> None:
    if isinstance(container[key], list):
        container[key] = container[key][:4] * random.choice([2, 125, 126])
    else:
        container[key] = [container[key]] * random.choice([2, 50])


def _nest(random: Random, container: Any, key: Any) -> None:
    for _ in range(random.choice([1, 20, 100])):
        container[key] = [container[key]] if random.random() < 0.5 else {"a": container[key]}


_LIKELY: dict[Any, Callable[[Random, Any, Any], None]] = {
    **dict.fromkeys(("created_at", "updated_at"), _date),
    **dict.fromkeys(("amount", "line_price"), _amount),
    **dict.fromkeys(("title", "sku", "token", "myshopify_domain", "currency_code"), _spoil_text),
}
"""What is most likely to do harm there."""

_CHANGES = (_replace, _replace, _replace, _swap_type, _spoil_text, _date, _remove, _add, _multiply, _nest)


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randint(0, len(body))]


def _invalid_utf8(random: Random, body: bytes) -> bytes:
    place = random.randint(0, len(body))
    return (
        body[:place] + random.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf"]) + body[place:]
    )


def _twice(random: Random, body: bytes) -> bytes:
    """Keys that come twice, the other value first."""
    key = random.choice(sorted(_LOOKED_AT))
    return b'{"%s": %d, "title": "\\u0000", ' % (key.encode(), random.randint(-1, 9)) + body[1:]


def _deeper(random: Random, body: bytes) -> bytes:
    depth = random.choice([100, 1_500, 100_000])
    return b'{"a": ' + b"[" * depth + b"]" * depth + b", " + body[1:]


def _huge(_: Random, body: bytes) -> bytes:
    return b'{"note": "' + b"x" * 200_000 + b'", ' + body[1:]


_SPOILINGS: tuple[Callable[[Random, bytes], bytes], ...] = (_cut, _invalid_utf8, _twice, _deeper, _huge)
