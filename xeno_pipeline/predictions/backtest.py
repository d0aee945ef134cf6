"""What the models would have predicted on a day in the past, and what happened then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from xeno_pipeline.predictions.curves import make_curves
from xeno_pipeline.predictions.purchases import PurchaseModel, fit_purchases
from xeno_pipeline.predictions.scores import Fifth, area_under_curve, best_hiatus, brier_skill, calibration
from xeno_pipeline.predictions.statistics import Floats, Integers, OrderDays, Statistics
from xeno_pipeline.predictions.values import ValueModel, fit_values

HORIZON = 90
"""Days that a backtest predicts."""

LEAST_REPEAT_CUSTOMERS = 10
"""Four parameters are not fitted to fewer: whatever came out would be chance."""

_LEAST_HISTORY = 90
"""Days before a backtest: of a shorter history it would say how little was known, not how good the model is."""

_SAMPLE = 20_000
"""Customers that a backtest's parameters are fitted on: their error is then a per cent or two, and all are judged."""

VALUE_SAMPLE = 50_000
"""Customers that the model of values is fitted on."""


@dataclass(frozen=True)
class Sales:
    """Net sales around a backtest's origin.

    Args:
        kept_share: of sales as ordered, what remained as net sales in the year before; None without sales.
        actual: net sales within the horizon, of customers known at the origin.
    """

    kept_share: float | None
    actual: float


@dataclass(frozen=True)
class Backtest:
    """What a backtest found; None is what could not be determined.

    Args:
        origin: the first day predicted, in days since 1970-01-01.
        customers, repeat_customers, history_days: what was known then, see `Statistics`.
        model: fitted on that.
        predicted_orders: days with an order within the horizon.
        predicted_sales: net sales of these.
        auc: of the probability of an order within the horizon, as is `brier_skill`.
        auc_recency: of the days since the last order alone.
        accuracy: share of customers for whom it was right to expect an order where it is more probable than not.
        hiatus_days, hiatus_accuracy: see `best_hiatus`.
    """

    origin: int
    customers: int
    repeat_customers: int
    history_days: int
    model: PurchaseModel | None = None
    values: ValueModel | None = None
    predicted_orders: float | None = None
    actual_orders: int | None = None
    predicted_sales: float | None = None
    actual_sales: float | None = None
    auc: float | None = None
    auc_recency: float | None = None
    brier_skill: float | None = None
    accuracy: float | None = None
    hiatus_days: int | None = None
    hiatus_accuracy: float | None = None
    calibration: Sequence[Fifth] = field(default=())

    @property
    def orders_error(self) -> float | None:
        """By what fraction of the actual orders the predicted ones are more."""
        return relative_error(self.predicted_orders, self.actual_orders)

    @property
    def orders_ratio(self) -> float | None:
        """Actual orders as a multiple of the predicted ones: the factor for the same season a year later."""
        if not self.predicted_orders or self.actual_orders is None:
            return None
        return self.actual_orders / self.predicted_orders


def relative_error(predicted: float | None, actual: float | None) -> float | None:
    """By what fraction of the actual figure the predicted one is more; None without an actual figure above zero."""
    return None if predicted is None or actual is None or actual <= 0 else predicted / actual - 1


def run_backtest(days: OrderDays, origin: int, sales: Sales, start: PurchaseModel) -> Backtest:
    """Fit on what was known before a day, and compare what that predicts from this day on with what happened.

    Args:
        start: a model of the same tenant, to begin with.
    """
    known = days.known_before(origin)
    result = Backtest(origin, known.customers, known.repeat_customers, known.history_days)
    if known.repeat_customers < LEAST_REPEAT_CUSTOMERS or known.history_days < _LEAST_HISTORY:
        return result
    model = fit_purchases(*known.sample(_SAMPLE).grouped(), start=start)
    values = fit_order_values(known)
    repeats, last_at, age = (each.astype(float) for each in (known.repeats, known.last_at, known.age))
    probability = model.probability_order(HORIZON, repeats, last_at, age)
    orders = days.orders_between(origin, origin + HORIZON)[known.customer]
    expected = _expected_orders(model, known)
    happened = orders > 0
    since_last = known.age - known.last_at
    hiatus_days, hiatus_accuracy = best_hiatus(since_last, happened)
    return Backtest(
        origin,
        known.customers,
        known.repeat_customers,
        known.history_days,
        model,
        values,
        predicted_orders=float(expected.sum()),
        actual_orders=int(orders.sum()),
        predicted_sales=_predicted_sales(known, expected, values, sales),
        actual_sales=sales.actual,
        auc=area_under_curve(probability, happened),
        auc_recency=area_under_curve(-since_last, happened),
        brier_skill=brier_skill(probability, happened),
        accuracy=float(((probability >= 0.5) == happened).mean()),
        hiatus_days=hiatus_days,
        hiatus_accuracy=hiatus_accuracy,
        calibration=calibration(probability, happened),
    )


def fit_order_values(known: Statistics) -> ValueModel | None:
    """The model of values; None where too few customers have one, or it has no finite mean."""
    some = np.flatnonzero(known.mean_value > 0)
    if some.size < LEAST_REPEAT_CUSTOMERS:
        return None
    some = some[:: -(-some.size // VALUE_SAMPLE)]
    return fit_values(known.valued[some].astype(float), known.mean_value[some])


def _expected_orders(model: PurchaseModel, known: Statistics) -> Floats:
    curves = make_curves(model, HORIZON, int(known.repeats.max()), int(known.age.max()))
    return curves.expected(model, known.repeats, known.last_at, known.age)


def _predicted_sales(known: Statistics, orders: Floats, values: ValueModel | None, sales: Sales) -> float | None:
    if values is None or sales.kept_share is None:
        return None
    valued: Integers = known.valued
    return float(orders @ values.expected(valued.astype(float), known.mean_value)) * sales.kept_share
