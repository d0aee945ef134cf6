"""The file of a store whose orders are drawn from a model: what is drawn is written once, and then read as any file."""

from __future__ import annotations

import csv
from datetime import datetime, time, timedelta
from pathlib import Path

from shopify_sandbox.generator.composer import home_country
from shopify_sandbox.model.times import local_date
from shopify_sandbox.order_file.reader import COLUMNS
from shopify_sandbox.spec import StoreSpec

_MOST = 999_999_999
"""What is spent on a day, at most: a file has no larger prices."""


def draw_file(spec: StoreSpec, folder: Path, until: int) -> Path:
    """The file of a store's buyers, written where there is none: a line an order, of one thing.

    Args:
        spec: Of a store with buyers.
        folder: Where its file is.
        until: When history ends, in seconds since 1970: the day before is the last one with orders.
    """
    assert spec.buyers is not None
    path = folder / "drawn.csv"
    if path.exists():
        return path
    opened = local_date(until, spec.zone) - timedelta(days=spec.buyers.days)
    country = home_country(spec.currency)
    fresh = path.with_suffix(".new")
    with fresh.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        number = 0
        for customer, orders in enumerate(spec.buyers.draw(f"{spec.handle}/{spec.seed}"), 1):
            for day, value in orders:
                number += 1
                at = datetime.combine(opened + timedelta(days=day), time(8 + number % 12, number % 60))
                rows.writerow([number, 1, "ORDER", "An order", 1, f"{min(value, _MOST):.2f}", customer, at, country])
    fresh.rename(path)
    return path
