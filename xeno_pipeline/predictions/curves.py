"""Expected orders as polynomials, so that SQL computes them.

By the model, a customer who is alive orders E(x, T) = ∫ (1 − (1 + p u)^−(r + x)) / p dBeta(p; a, b + x + 1) times
within the next t days, with u = t / (alpha + T). In y = ln(1 + u), E / y is smooth: it is interpolated in Chebyshev
points of [0, ln(1 + t / (alpha + x))], for each x. (Nobody has more repeats than days, so T is never less than x.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy.linalg import eigh_tridiagonal

from xeno_pipeline.predictions.purchases import PurchaseModel
from xeno_pipeline.predictions.statistics import Floats, Integers

TERMS = 16
"""Coefficients of a polynomial: see test_curves.py for how exact that is."""

_POINTS = np.cos(np.pi * (np.arange(TERMS) + 0.5) / TERMS)
_TO_COEFFICIENTS = np.stack(
    [
        np.pad(chebyshev.cheb2poly(row), (0, TERMS))[:TERMS]
        for row in np.linalg.inv(chebyshev.chebvander(_POINTS, TERMS - 1)).T
    ]
)
"""From values in the points to coefficients of 1, s, s², ..."""

_CHUNK = 256
"""Polynomials made at once, which bounds the memory."""


@dataclass(frozen=True)
class Curves:
    """The polynomials of a period.

    Args:
        days: the period.
        ceiling: of each number of repeats, from 0, the largest y.
        coefficients: of each number of repeats, of 1, s, s², ... with s = 2 y / ceiling − 1.
    """

    days: int
    ceiling: Floats
    coefficients: Floats

    def expected(self, model: PurchaseModel, repeats: Integers, last_at: Integers, age: Integers) -> Floats:
        """Expected orders of customers within the period, as SQL computes them."""
        row = np.minimum(repeats, self.ceiling.size - 1)
        y = np.log1p(self.days / (model.alpha + age))
        s = 2 * y / self.ceiling[row] - 1
        total = np.zeros(s.size)
        for power in reversed(range(TERMS)):
            total = total * s + self.coefficients[row, power]
        alive = model.probability_alive(repeats.astype(float), last_at.astype(float), age.astype(float))
        return alive * y * total


def make_curves(model: PurchaseModel, days: int, most_repeats: int) -> Curves:
    """The polynomials of a period for 0 up to so many repeats."""
    repeats = np.arange(most_repeats + 1, dtype=float)
    ceiling = np.log1p(days / (model.alpha + repeats))
    y = ceiling[:, None] * (_POINTS + 1) / 2
    # The more repeats, the smaller is u, and the fewer nodes suffice.
    chunks = [(0, 16, 64), (16, 64, 40), *((first, first + _CHUNK, 24) for first in range(64, repeats.size, _CHUNK))]
    parts = [
        _integrals(model, repeats[first:end], y[first:end], nodes)
        for first, end, nodes in chunks
        if first < repeats.size
    ]
    return Curves(days, ceiling, np.concatenate(parts) / y @ _TO_COEFFICIENTS)


def _integrals(model: PurchaseModel, repeats: Floats, y: Floats, nodes: int) -> Floats:
    """E of each number of repeats, in its points."""
    p, weights = beta_quadrature(model.a, model.survivors_b + repeats, nodes)
    exponent = -(model.r + repeats)[:, None, None] * np.log1p(p[:, None, :] * np.expm1(y)[:, :, None])
    return np.asarray(np.einsum("xyn,xn->xy", -np.expm1(exponent) / p[:, None, :], weights))


def beta_quadrature(a: float, b: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Gauss-Jacobi quadrature for beta distributions, by the method of Golub and Welsch (1969).

    Args:
        a: first parameter of all of them.
        b: second parameter of each.
        nodes: how many nodes each gets.

    Returns:
        The nodes, within 0 and 1, and their weights, which sum to 1: a row for each distribution.
    """
    k = np.arange(1, nodes)
    alpha, beta = b[:, None] - 1, a - 1
    both = alpha + beta
    diagonal = np.empty((b.size, nodes))
    diagonal[:, 0] = ((beta - alpha) / (both + 2))[:, 0]
    diagonal[:, 1:] = (beta**2 - alpha**2) / ((2 * k + both) * (2 * k + both + 2))
    # The factor (k + both) / (2k + both - 1) of k = 1 is 1, also where both are zero.
    ratio = np.where(k == 1, 1.0, (k + both) / np.where(k == 1, 1.0, 2 * k + both - 1))
    squares = 4 * k * (k + alpha) * (k + beta) * ratio / ((2 * k + both) ** 2 * (2 * k + both + 1))
    # One by one: for a stack of full matrices BLAS starts threads that take longer to start than to work.
    solved = [eigh_tridiagonal(*each) for each in zip((1 + diagonal) / 2, np.sqrt(squares) / 2, strict=True)]
    values, first = np.array([each for each, _ in solved]), np.array([vectors[0] for _, vectors in solved])
    return np.clip(values, np.finfo(float).tiny, 1.0), first**2
