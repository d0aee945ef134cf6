"""CDNOW: the orders of 2,357 customers of a record store, on which the models of predictions were published.

A tenth of the customers who first bought in the first quarter of 1997, with all that they bought until June 1998, as
the package lifetimes 0.11.3 distributes it under the licence beside this file.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

CALIBRATED_BEFORE = date(1997, 10, 1)
"""The papers fit on what lies before this day, 39 weeks, and predict the 39 weeks from it on."""

HOLDOUT_DAYS = 273


def orders() -> Iterator[tuple[int, date, float]]:
    """Customer, day and amount of each order, by customer, then day."""
    with gzip.open(Path(__file__).with_name("orders.csv.gz"), "rt") as file:
        for row in csv.DictReader(file):
            yield int(row["customer"]), date.fromisoformat(row["day"]), float(row["amount"])
