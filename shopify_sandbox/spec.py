"""What a sandbox store is made from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import orjson

from shopify_sandbox.buyers import Buyers

DEFAULT_TOKEN = "shpat_sandbox"  # noqa: S105  (a toy store's token, the same everywhere on purpose)
DEFAULT_SCOPES = ("read_orders", "read_all_orders", "read_customers", "read_customer_merge", "read_products")
PLANS = {"Standard": 100, "Advanced": 200, "Plus": 1000, "Enterprise": 2000}
"""Restore rate of the API cost bucket, in points a second, by plan."""

_GENERATION = 3
"""Raise it when the same spec comes to generate another history: remembered stores then start afresh."""
_TAXES_INCLUDED = {"AUD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "JPY", "NOK", "NZD", "PLN", "SEK"}
_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


@cache
def _time_zones() -> frozenset[str]:
    """All names of time zones: they are looked for on the disk, which takes as long as all else of a store's start."""
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: generated (`orders`, or `buyers`) or read from a file (`orders_csv`), and the facts of the shop.

    Raises:
        ValueError: In one sentence, where a value is none.
    """

    handle: str
    orders: int | None = None
    """How many orders to generate."""
    orders_csv: Path | None = None
    currency: str = "USD"
    timezone: str = "UTC"
    seed: int = 0
    until: datetime | None = None
    """When generated history ends; None is the moment the store is first started."""
    taxes_included: bool | None = None
    """None is what is usual where the currency is spent."""
    plan: str = "Standard"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    token: str = DEFAULT_TOKEN
    buyers: Buyers | None = None
    """Customers whose orders are drawn from a model, with nothing else happening to them."""

    def __post_init__(self) -> None:
        if not _HANDLE.fullmatch(self.handle):
            raise ValueError(f"{self.handle!r} is no store handle: lower-case letters, digits and hyphens only.")
        if [self.orders, self.orders_csv, self.buyers].count(None) != 2:
            raise ValueError(
                f"Store {self.handle} needs either a number of orders to generate, buyers, or a file of orders."
            )
        if self.orders is not None and not 0 <= self.orders <= 10_000_000:
            raise ValueError(f"Store {self.handle} can have 0 to 10,000,000 generated orders, not {self.orders}.")
        if self.buyers is not None:
            self.buyers.check()
        if self.timezone not in _time_zones():
            raise ValueError(f"{self.timezone!r} is no time zone, such as Europe/Berlin.")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError(f"{self.currency!r} is no currency code, such as EUR.")
        if self.plan not in PLANS:
            raise ValueError(f"{self.plan!r} is no plan: {', '.join(PLANS)}.")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("The end of a history needs a time zone, such as 2026-06-30T00:00:00Z.")

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def prices_include_taxes(self) -> bool:
        """Whether the shop's prices contain taxes."""
        return self.currency in _TAXES_INCLUDED if self.taxes_included is None else self.taxes_included

    @property
    def fingerprint(self) -> str:
        """Tells whether remembered state belongs to this spec; what may change freely is left out."""
        identity: dict[str, Any] = {} if self.buyers is None else {"buyers": str(self.buyers)}
        identity |= {
            "generation": _GENERATION,
            "orders": self.orders,
            "csv": None if self.orders_csv is None else str(self.orders_csv.absolute()),
            "currency": self.currency,
            "timezone": self.timezone,
            "seed": self.seed,
            "until": None if self.until is None else self.until.astimezone(UTC).isoformat(),
            "taxes_included": self.prices_include_taxes,
        }
        return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def ending(self, until: datetime) -> StoreSpec:
        """The same store with the end of its history settled."""
        return replace(self, until=until)


def demo_specs() -> list[StoreSpec]:
    """Three stores in three time zones and currencies."""
    return [
        StoreSpec("aurora-outdoor", orders=8000, currency="USD", timezone="America/New_York", seed=1),
        StoreSpec("kirsche-und-co", orders=6500, currency="EUR", timezone="Europe/Berlin", seed=2),
        StoreSpec("hoshi-stationery", orders=5000, currency="JPY", timezone="Asia/Tokyo", seed=3),
    ]
