"""Order days for the models of predictions, without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import numpy as np

from xeno_pipeline.predictions.order_days import days_since_epoch
from xeno_pipeline.predictions.statistics import OrderDays


def order_days(orders: Iterable[tuple[int, date | int, float]]) -> OrderDays:
    """The days with an order, of orders by customer, day and amount."""
    amounts: dict[tuple[int, int], float] = defaultdict(float)
    for customer, day, amount in orders:
        amounts[customer, days_since_epoch(day) if isinstance(day, date) else day] += amount
    keys = sorted(amounts)
    return OrderDays(
        np.array([customer for customer, _ in keys], dtype=np.int64),
        np.array([day for _, day in keys], dtype=np.int64),
        np.array([amounts[key] for key in keys], dtype=float),
    )
