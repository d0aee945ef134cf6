"""When customers come back: the MBG/NBD model, and BG/NBD, which it modifies.

While alive, a customer orders at random with a rate of their own; after each order, the first included, they may drop
out for good, with a probability of their own. Rates are gamma distributed (r, alpha), dropout is beta distributed
(a, b). BG/NBD (Fader, Hardie, Lee 2005) lets nobody drop out at the first order, so that who ordered once is alive for
sure; MBG/NBD (Batislam, Denizel, Filiztekin 2007) does. Time is in days since the first order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln

from xeno_pipeline.predictions.statistics import Floats

_BOUND = 9.0
"""Logarithms of the parameters, with time in units of the customers' mean age, are within this of zero."""

_START = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class PurchaseModel:
    """A fitted model.

    Args:
        r: shape of the distribution of rates.
        alpha: its scale, in days.
        a: first parameter of the distribution of dropout.
        b: second parameter.
        log_likelihood: of the data it was fitted on, with time in days.
        is_at_bound: whether a parameter is at its bound: the likelihood then has no maximum within.
        is_modified: whether it is MBG/NBD, else BG/NBD.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    is_at_bound: bool
    is_modified: bool = True

    def probability_alive(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        """The probability that customers have not dropped out, given their history."""
        deaths = self.b + repeats - (0 if self.is_modified else 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(self.a / deaths) + (self.r + repeats) * np.log((self.alpha + age) / (self.alpha + last_at))
        if not self.is_modified:
            odds = np.where(repeats > 0, odds, -np.inf)
        return np.asarray(expit(-odds))

    def probability_order(self, days: float, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        """The probability that customers order at least once within the next days."""
        none = -(self.r + repeats) * np.log1p(days / (self.alpha + age))
        return self.probability_alive(repeats, last_at, age) * -np.expm1(none)

    @property
    def survivors_b(self) -> float:
        """What is added to `repeats` for the second parameter of the dropout of customers who are alive."""
        return self.b + (1 if self.is_modified else 0)


def fit_purchases(
    repeats: Floats,
    last_at: Floats,
    age: Floats,
    weights: Floats,
    *,
    is_modified: bool = True,
    start: PurchaseModel | None = None,
) -> PurchaseModel:
    """Fit by maximum likelihood, with analytic derivatives.

    Args:
        repeats: of each group of equal customers, as are the next two; see `Statistics.grouped`.
        weights: how many customers each group has.
        is_modified: fit MBG/NBD, else BG/NBD.
        start: a model of similar data, to begin with.
    """
    scale = float(weights @ age / weights.sum())
    likelihood = _Likelihood(repeats, last_at / scale, age / scale, weights, is_modified)
    first = _START if start is None else np.log((start.r, start.alpha / scale, start.a, start.b))
    best = minimize(
        likelihood,
        np.clip(first, -_BOUND, _BOUND),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_BOUND, _BOUND)] * 4,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
    )
    r, alpha, a, b = (float(each) for each in np.exp(best.x))
    return PurchaseModel(
        r,
        alpha * scale,
        a,
        b,
        # A density of so many times, each in other units.
        log_likelihood=float(-best.fun * weights.sum() - np.log(scale) * (weights @ repeats)),
        is_at_bound=bool(np.any(np.abs(best.x) > _BOUND - 0.1)),
        is_modified=is_modified,
    )


class _Likelihood:
    """The negative mean log-likelihood and its gradient, in the logarithms of the parameters.

    What depends on `repeats` alone, the special functions among it, is computed once for each of its values.
    """

    def __init__(self, repeats: Floats, last_at: Floats, age: Floats, weights: Floats, is_modified: bool) -> None:
        self.repeats, self.last_at, self.age, self.weights = repeats, last_at, age, weights
        self.values, self.of_row = np.unique(repeats, return_inverse=True)
        self.value_weights = np.bincount(self.of_row, weights)
        self.more = 1 if is_modified else 0
        self.can_be_dead = self.values + self.more > 0

    def __call__(self, logarithms: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(logarithms)
        x, weights, more = self.values, self.weights, self.more
        customers = self.value_weights.sum()
        log_age, log_last = np.log(alpha + self.age), np.log(alpha + self.last_at)
        constant = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        constant += gammaln(a + b) + gammaln(b + x + more) - gammaln(b) - gammaln(a + b + x + more)
        deaths = np.where(self.can_be_dead, b + x + more - 1, 1.0)
        log_odds = np.where(self.can_be_dead, np.log(a / deaths), -np.inf)
        shape = r + self.repeats
        odds = log_odds[self.of_row] + shape * (log_age - log_last)
        value = self.value_weights @ constant + weights @ (np.logaddexp(0, odds) - shape * log_age)

        dead = weights * expit(odds)
        dead_by_value = np.bincount(self.of_row, dead)
        gradient = np.array(
            [
                self.value_weights @ (digamma(r + x) - digamma(r) + np.log(alpha))
                - weights @ log_age
                + dead @ (log_age - log_last),
                customers * r / alpha
                - weights @ (shape / (alpha + self.age))
                + dead @ (shape * (1 / (alpha + self.age) - 1 / (alpha + self.last_at))),
                self.value_weights @ (digamma(a + b) - digamma(a + b + x + more)) + dead_by_value.sum() / a,
                self.value_weights @ (digamma(a + b) + digamma(b + x + more) - digamma(b) - digamma(a + b + x + more))
                - dead_by_value @ np.where(self.can_be_dead, 1 / deaths, 0.0),
            ]
        )
        return float(-value / customers), -gradient * (r, alpha, a, b) / customers
