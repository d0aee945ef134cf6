"""Segments to begin with, which `xeno segment starters` adds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Starter:
    """A segment that is useful for most stores."""

    name: str
    description: str
    query: str


STARTERS: tuple[Starter, ...] = (
    Starter("Champions", "Bought recently, often, and for much.", "rfm_segment = 'CHAMPIONS'"),
    Starter(
        "About to leave",
        "Came back at least once, and have not for a long time.",
        "rfm_segment IN ('AT_RISK', 'CANNOT_LOSE', 'ABOUT_TO_SLEEP')",
    ),
    Starter(
        "One-time buyers", "Ordered once, more than a month ago.", "number_of_orders = 1 AND last_order_date < -30d"
    ),
    Starter("Big spenders", "Among the tenth of customers with the highest net sales.", "is_high_value = true"),
    Starter(
        "Abandoned lately",
        "Left a checkout in the last 30 days, and have not ordered since then.",
        "abandoned_checkout_date >= -30d AND orders_placed NOT MATCHES (date >= -30d)",
    ),
)
