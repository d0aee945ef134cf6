"""How much customers spend on a day with an order: the Gamma-Gamma model (Fader, Hardie 2013).

A customer's values vary around a mean of their own (shape p); means vary between customers (q, v). The model assumes
that how much and how often are independent: `Statistics` of who ordered again say whether they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from xeno_pipeline.predictions.statistics import Floats, Statistics

_BOUND = 9.0
"""Logarithms of the parameters, with values in units of their mean, are within this of zero."""

_LEAST_Q = 1.01
"""With q at 1 or below, the mean of the distribution of means is infinite."""


@dataclass(frozen=True)
class ValueModel:
    """A fitted model.

    Args:
        p: shape of a customer's values.
        q: shape of the distribution of their means.
        v: its scale, in the shop's currency.
        log_likelihood: of the mean values it was fitted on.
    """

    p: float
    q: float
    v: float
    log_likelihood: float

    def expected(self, valued: Floats, mean_value: Floats) -> Floats:
        """The value that customers are expected to spend on a day with an order.

        Args:
            valued: their repeats with a value.
            mean_value: the mean of these.
        """
        spent = valued * np.maximum(mean_value, 0)
        return self.p * (self.v + spent) / (self.p * valued + self.q - 1)


def fit_values(valued: Floats, mean_value: Floats) -> ValueModel | None:
    """Fit by maximum likelihood, with analytic derivatives, on customers with a mean value above zero.

    Returns:
        None where the values have no finite mean by the model.
    """
    scale = float(mean_value.mean())
    counts, of_row = np.unique(valued, return_inverse=True)
    customers_of = np.bincount(of_row).astype(float)
    mean, customers = mean_value / scale, float(valued.size)
    log_mean, log_counts = np.log(mean), np.log(counts)

    def likelihood(logarithms: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(logarithms)
        total = valued * mean + v
        log_total = np.log(total)
        constant = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q) + q * np.log(v) + p * counts * log_counts
        value = customers_of @ constant + ((p * valued - 1) * log_mean - (p * valued + q) * log_total).sum()
        gradient = np.array(
            [
                customers_of @ (counts * (digamma(p * counts + q) - digamma(p * counts) + log_counts))
                + (valued * (log_mean - log_total)).sum(),
                customers_of @ (digamma(p * counts + q) - digamma(q) + np.log(v)) - log_total.sum(),
                customers * q / v - ((p * valued + q) / total).sum(),
            ]
        )
        return float(-value / customers), -gradient * (p, q, v) / customers

    best = minimize(
        likelihood,
        np.zeros(3),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_BOUND, _BOUND)] * 3,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
    )
    p, q, v = (float(each) for each in np.exp(best.x))
    if q < _LEAST_Q:
        return None
    return ValueModel(p, q, v * scale, log_likelihood=float(-best.fun * customers - np.log(scale) * customers))


def correlation_with_frequency(statistics: Statistics) -> float | None:
    """The correlation of repeats and their mean value, over who has some; None where either is the same for all."""
    some = statistics.mean_value > 0
    valued, mean_value = statistics.valued[some].astype(float), statistics.mean_value[some]
    if valued.size < 2 or np.ptp(valued) == 0 or np.ptp(mean_value) == 0:
        return None
    return float(np.corrcoef(valued, mean_value)[0, 1])
