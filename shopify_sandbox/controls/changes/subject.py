"""What a change is about: the object that is named or chosen, and the values it is given."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from shopify_sandbox.model.money import PRICE_ONE, divide, price_units
from shopify_sandbox.state.store import Store

Options = dict[str, Any]
Touched = dict[str, list[int]]

_NEWEST_TRIED = 2000


class ChangeError(ValueError):
    """A change that cannot be, in one sentence."""


def named(store: Store, kind: str, number: int) -> Any:
    """The object of an id."""
    row = store.tables[kind].row(int(number))
    if row is None:
        raise ChangeError(f"There is no {kind} {number}.")
    return store.object(kind, row)


def newest(store: Store, kind: str, wanted: Callable[[Any], bool]) -> Any:
    """The newest object that will do."""
    table = store.tables[kind]
    rows = table.sorted_by("created_at")[::-1]
    for row in rows[table.alive[rows]][:_NEWEST_TRIED].tolist():
        found = store.object(kind, row)
        if wanted(found):
            return found
    raise ChangeError(f"None of the newest objects of kind {kind} will do.")


def chosen(store: Store, kind: str, number: int | None, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
    """The object that is named, or the newest that will do."""
    if number is None:
        return newest(store, kind, wanted)
    found = named(store, kind, number)
    if not wanted(found):
        raise ChangeError(f"{kind} {number} is not in a state for this.")
    return found


def known(value: str, values: tuple[str, ...]) -> str:
    """A value that must be one of some."""
    if value not in values:
        raise ChangeError(f"{value!r} is none of {', '.join(values)}.")
    return value


def set_fields(target: Any, given: Options) -> bool:
    """Set the fields that are not None; whether there was any."""
    values = {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        setattr(target, name, value)
    return bool(values)


def minor_units(store: Store, amount: str) -> int:
    """An amount of the shop's currency in minor units."""
    return divide(price_of(amount), price_units(store.spec.currency))


def price_of(amount: str) -> int:
    """An amount in price units."""
    try:
        return int(Decimal(str(amount)) * PRICE_ONE)
    except (InvalidOperation, ValueError, OverflowError):
        raise ChangeError(f"{amount!r} is no amount of money.") from None
