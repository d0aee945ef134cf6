"""The generated catalogue: products with variants, names that are hard on a pipeline, prices in any currency."""

from __future__ import annotations

import random
import re
import unicodedata

from shopify_sandbox.model.money import PRICE_ONE, decimals, price_units
from shopify_sandbox.model.objects import Product, Variant
from shopify_sandbox.model.times import DAY

RATES = {
    "USD": 1.0,
    "AUD": 1.52,
    "BHD": 0.376,
    "BRL": 5.4,
    "CAD": 1.37,
    "CHF": 0.88,
    "CLP": 940.0,
    "CNY": 7.2,
    "DKK": 6.9,
    "EUR": 0.92,
    "GBP": 0.79,
    "INR": 84.0,
    "JPY": 150.0,
    "KRW": 1350.0,
    "KWD": 0.307,
    "MXN": 18.5,
    "NOK": 10.8,
    "NZD": 1.66,
    "PLN": 3.95,
    "SEK": 10.5,
    "TND": 3.1,
    "VND": 25_000.0,
    "ZAR": 18.2,
}
"""Units of a currency for a dollar, roughly: what makes generated prices plausible."""

PRODUCT_BASE = 8_100_000_000_000
VARIANT_BASE = 44_000_000_000_000
ID_STEP = 32_768

_ADJECTIVES = (
    "Alpine",
    "Blaue",
    "Crème",
    "Everyday",
    "Folding",
    "Grande",
    "Heirloom",
    "Ørsted",
    "手作り",
    "Pocket",
    "Quiet",
    "Rustic",
    "Slim",
    "Wool",
    "Żółty",
)
_NOUNS = (
    "Backpack",
    "Bottle",
    "Candle",
    "Cardigan",
    "Decanter",
    "Füller",
    "Jacket",
    "Kettle",
    "Lampe",
    "Notebook",
    "Parka",
    "ペン",
    "Scarf",
    "Tea Towel",
    "Umbrella",
)
_ODD_TITLES = (
    'Mug "The 12\' One"',
    "Back\\slash Tee",
    "Tab\tSeparated Tote",
    "🎁 Surprise Box 🎁",
    "Søt & Salt, 100 % <b>raw</b>",
    "'; DROP TABLE products; --",
    "ﬁne ligature — naïve",
    "مِحفظة جلد",
)
_VENDORS = ("Acme", "Bögel & Söhne", "Casa Niño", "Dockside", "北斗製作所", "Elm + Oak")
_TYPES = ("Apparel", "Home", "Kitchen", "Outdoor", "Stationery", "")
_COLOURS = ("Black", "Bleu", "Cerise", "Dune", "Écru", "Forest", "Grey", "赤")
_SIZES = ("XS", "S", "M", "L", "XL")


def local_price(dollars: float, currency: str) -> int:
    """A plausible shelf price of about so many dollars, in price units, whole in the minor unit."""
    amount = dollars * RATES.get(currency, 1.0)
    if decimals(currency) == 0:
        return max(1, round(amount / 10)) * 10 * PRICE_ONE
    return max(1, round(amount * 10)) * PRICE_ONE // 10 - price_units(currency)


def slug(title: str, number: int) -> str:
    """A product's handle."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") + f"-{number}"


def generate_catalogue(
    orders: int, seed: str, currency: str, opened: int, until: int
) -> tuple[list[Product], set[int]]:
    """The products of a store.

    Args:
        orders: How many orders the store has; larger stores sell more products.
        seed: What the catalogue is drawn from.
        currency: Of the prices.
        opened: The instant of the store's first day.
        until: The instant history ends.

    Returns:
        All products that were ever sold, and the positions of those deleted since (orders still name them).
    """
    rng = random.Random(seed)  # noqa: S311
    products: list[Product] = []
    deleted: set[int] = set()
    variants_made = 0
    for position in range(max(40, min(400, orders // 40))):
        created = opened - 30 * DAY + int(rng.random() ** 2 * (until - opened))
        updated = min(until, created + int(rng.random() * 200 * DAY))
        dollars = 4 + 90 * rng.random() ** 3
        if position == 0:
            title, options = "Gift card", ["25", "50", "100"]
        else:
            odd = position % 9 == 5
            title = (
                _ODD_TITLES[position // 9 % len(_ODD_TITLES)]
                if odd
                else f"{_pick(rng, _ADJECTIVES)} {_pick(rng, _NOUNS)}"
            )
            options = _options(rng, position)
        product = Product(
            id=PRODUCT_BASE + position * ID_STEP,
            title=title,
            handle=slug(title, position),
            vendor=_pick(rng, _VENDORS),
            product_type="Gift Cards" if position == 0 else _pick(rng, _TYPES),
            created_at=created,
            updated_at=updated,
            published_at=created + 3600,
            is_gift_card=position == 0,
            tags=[tag for tag in ("new", "sale", "été", "limited edition") if rng.random() < 0.15],
        )
        if position % 23 == 7:
            product.status, product.published_at = "DRAFT", None
        elif position % 11 == 3:
            product.status = "ARCHIVED"
        elif position % 25 == 9:
            deleted.add(position)
        for number, option in enumerate(options):
            price = (
                local_price(float(option), currency) if position == 0 else local_price(dollars + number % 5, currency)
            )
            if position == 4:
                price = 0
            product.variants.append(
                Variant(
                    id=VARIANT_BASE + variants_made * ID_STEP,
                    title=option,
                    sku=None if rng.random() < 0.06 else f"SKU-{position:03}-{number:03}",
                    barcode=str(4_000_000_000_000 + variants_made * 97) if rng.random() < 0.7 else None,
                    price=price,
                    compare_at_price=price * 5 // 4 if rng.random() < 0.2 else None,
                    created_at=created,
                    updated_at=updated,
                )
            )
            variants_made += 1
        products.append(product)
    return products, deleted


def _pick(rng: random.Random, names: tuple[str, ...]) -> str:
    return names[int(rng.random() * len(names))]


def _options(rng: random.Random, position: int) -> list[str]:
    """Titles of a product's variants: most have few, a couple more than a page of them."""
    if position in (12, 31):
        return [
            f"{colour} / {size} / {length}" for colour in _COLOURS for size in _SIZES for length in ("28", "30", "32")
        ]
    drawn = rng.random()
    if drawn < 0.5:
        return ["Default Title"]
    if drawn < 0.8:
        return list(_SIZES[: 2 + int(rng.random() * 4)])
    return [f"{colour} / {size}" for colour in _COLOURS[: 2 + int(rng.random() * 3)] for size in _SIZES[1:4]]
