"""A tenant's fit: the models of all customers, the polynomials that SQL evaluates, and the backtests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xeno_pipeline.predictions.backtest import (
    HORIZON,
    LEAST_REPEAT_CUSTOMERS,
    Backtest,
    Sales,
    fit_order_values,
    run_backtest,
)
from xeno_pipeline.predictions.curves import Curves, make_curves
from xeno_pipeline.predictions.purchases import PurchaseModel, fit_purchases
from xeno_pipeline.predictions.statistics import OrderDays, Statistics
from xeno_pipeline.predictions.values import ValueModel, correlation_with_frequency

HORIZONS = (90, 365)
"""Days that orders are expected for."""

YEAR = 364
"""52 weeks: the same weekdays, a year ago."""

RECENT = (HORIZON, 2 * HORIZON, 3 * HORIZON, 4 * HORIZON)
"""Days from the origins of the backtests that say whether totals can be relied on, to the day of the fit."""

ORIGINS = (*RECENT, YEAR, YEAR + HORIZON)
"""And of those of the season a year before the coming one, and before the newest backtest's."""

_SEASON_HISTORY = 182
"""Days of history before a backtest that a seasonal factor is taken from: with less, it makes predictions worse."""

_MARGIN = 14
"""Repeats for which there are polynomials beyond the most that a customer has: a fortnight's, for the next fit is due
in a week. Whoever has still more is taken for somebody with that many."""

_DECADE = 3653
"""Days that the polynomials last, which is longer than predictions without a new fit are of use."""


@dataclass(frozen=True)
class Fit:
    """What is stored of a tenant; None is what could not be fitted.

    Args:
        fitted_on: the day before which orders are taken into account, in days since 1970-01-01.
        known: what was known then.
        curves: for each of HORIZONS.
        correlation: of how often and how much customers buy.
        backtests: the newest first.
        seasonal_factors: by origin, actual as a multiple of predicted orders a year before; `fitted_on` is among them.
    """

    fitted_on: int
    known: Statistics
    model: PurchaseModel | None
    values: ValueModel | None
    curves: tuple[Curves, ...]
    correlation: float | None
    backtests: tuple[Backtest, ...]
    seasonal_factors: Mapping[int, float]

    @property
    def newest_backtest(self) -> Backtest:
        """The backtest of the days until the fit."""
        return self.backtests[0]

    @property
    def worst_orders_error(self) -> float | None:
        """The largest error of the recent backtests, in absolute value; None without any."""
        recent = {self.fitted_on - days for days in RECENT}
        errors = [each.orders_error for each in self.backtests if each.origin in recent]
        return max((abs(error) for error in errors if error is not None), default=None)


def fit_tenant(days: OrderDays, fitted_on: int, sales: Mapping[int, Sales]) -> Fit:
    """Fit the models of a tenant, and test them on its past.

    Args:
        days: its order days before `fitted_on`.
        fitted_on: in days since 1970-01-01.
        sales: net sales around each origin, `fitted_on` less each of ORIGINS.
    """
    known = days.known_before(fitted_on)
    newest = days.known_before(fitted_on - HORIZON)
    if known.repeat_customers < LEAST_REPEAT_CUSTOMERS:
        untested = Backtest(fitted_on - HORIZON, newest.customers, newest.repeat_customers, newest.history_days)
        return Fit(fitted_on, known, None, None, (), None, (untested,), {})
    model = fit_purchases(*known.grouped())
    most_repeats = int(known.repeats.max()) + _MARGIN
    backtests = [
        run_backtest(days, fitted_on - before, sales[fitted_on - before], model)
        for before in ORIGINS
        if before == HORIZON or known.history_days > before
    ]
    origins = {fitted_on, *(each.origin for each in backtests)}
    return Fit(
        fitted_on,
        known,
        model,
        fit_order_values(known),
        tuple(make_curves(model, horizon, most_repeats, known.history_days + _DECADE) for horizon in HORIZONS),
        correlation_with_frequency(known),
        tuple(backtests),
        {
            each.origin + YEAR: each.orders_ratio
            for each in backtests
            if each.origin + YEAR in origins and each.history_days >= _SEASON_HISTORY and each.orders_ratio is not None
        },
    )
