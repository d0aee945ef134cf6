"""Money in whole minor units: how many decimals a currency has, how Shopify writes an amount, how to share one."""

from __future__ import annotations

from typing import Any, NamedTuple

Document = dict[str, Any]

_DECIMALS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

PRICE_DECIMALS = 4
"""Unit prices are kept in ten-thousandths of the major unit: real ones have more decimals than the currency."""

PRICE_ONE: int = 10**PRICE_DECIMALS
RATE_ONE = 10**9


def decimals(currency: str) -> int:
    """The number of decimals of a currency's minor unit (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


def price_units(currency: str) -> int:
    """How many price units (ten-thousandths of the major unit) one minor unit is."""
    return PRICE_ONE // int(10 ** decimals(currency))


def divide(amount: int, divisor: int) -> int:
    """The quotient, half away from zero, so that an amount and its negative stay each other's negative."""
    half = divisor // 2
    return (amount + half) // divisor if amount >= 0 else -((half - amount) // divisor)


def decimal_string(amount: int, places: int) -> str:
    """An integer of `places` decimals as Shopify writes money: at least one decimal, no other trailing zeros."""
    if places == 0:
        return f"{amount}.0"
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**places)
    return f"{sign}{whole}.{str(fraction).rjust(places, '0').rstrip('0') or '0'}"


def allocate(total: int, weights: list[int]) -> list[int]:
    """Share a total by weights; the units that do not divide go one at a time from the first share on.

    The rule is Shopify's (schema, type Sale). What weighs nothing gets nothing.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    left_over = total - sum(shares)
    for position in [n for n, weight in enumerate(weights) if weight][:left_over]:
        shares[position] += 1
    return shares


class Exchange(NamedTuple):
    """The currencies of one order: amounts are kept in the shop's, the buyer saw the presentment currency."""

    shop: str
    presentment: str
    rate: int = RATE_ONE
    """Presentment minor units per shop minor unit, times RATE_ONE."""

    @property
    def is_identity(self) -> bool:
        """Whether the buyer paid in the shop's own currency."""
        return self.shop == self.presentment

    def convert(self, amount: int) -> int:
        """Shop minor units to presentment minor units."""
        return divide(amount * self.rate, RATE_ONE)

    def bag(self, shop_amount: int, presentment_amount: int | None = None) -> Document:
        """A MoneyBag; without a presentment amount, the shop amount is converted."""
        shop = {"amount": decimal_string(shop_amount, decimals(self.shop)), "currencyCode": self.shop}
        if self.shop == self.presentment:
            return {"shopMoney": shop, "presentmentMoney": shop}
        if presentment_amount is None:
            presentment_amount = self.convert(shop_amount)
        presented = decimal_string(presentment_amount, decimals(self.presentment))
        return {
            "shopMoney": shop,
            "presentmentMoney": {"amount": presented, "currencyCode": self.presentment},
        }

    def price_bag(self, price: int) -> Document:
        """A MoneyBag of a unit price, given in price units."""
        shop = {"amount": decimal_string(price, PRICE_DECIMALS), "currencyCode": self.shop}
        if self.shop == self.presentment:
            return {"shopMoney": shop, "presentmentMoney": shop}
        minor = divide(price * self.rate, RATE_ONE * price_units(self.shop))
        presented = decimal_string(minor, decimals(self.presentment))
        return {
            "shopMoney": shop,
            "presentmentMoney": {"amount": presented, "currencyCode": self.presentment},
        }
