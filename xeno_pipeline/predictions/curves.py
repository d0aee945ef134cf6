"""Expected orders as polynomials, so that SQL computes them.

By the model, a customer of age T who is alive orders E(x, T) times within the next t days:
∫ (1 − (1 + t p / (alpha + T))^−(r + x)) / p dBeta(p; a, b + x + 1). Its scale is alpha + T: so the ages are cut into
pieces, on each of which alpha + T grows by e^½, and on each piece, for each x, E is a polynomial. It is one in T
itself, since SQL names an intermediate result by a subquery only, with which it would not read customers in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.polynomial import chebyshev
from scipy.linalg import eigh_tridiagonal

from xeno_pipeline.predictions.purchases import PurchaseModel
from xeno_pipeline.predictions.statistics import Floats, Integers

TERMS = 8
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
"""Repeats whose polynomials are made at once, which bounds the memory."""

_PIECES_IN_E = 2
"""Pieces while alpha + T grows by a factor of e."""

_NEARLY = 1e-9
"""An age so near to the end of a piece is in the next one, too: SQL may round a logarithm otherwise."""


@dataclass(frozen=True)
class Curves:
    """The polynomials of a period, sorted by repeats, then piece.

    Args:
        days: the period.
        repeats: of each polynomial.
        piece: of each, the piece of ages that it is for: twice ln(alpha + age), rounded.
        coefficients: of each, those of 1, T, T², ... with the age T in days.
    """

    days: int
    repeats: Integers
    piece: Integers
    coefficients: Floats

    def expected(self, model: PurchaseModel, repeats: Integers, last_at: Integers, age: Integers) -> Floats:
        """Expected orders of customers within the period, as SQL computes them."""
        base = int(self.piece.min())
        height = int(self.piece.max()) - base + 1
        piece = np.rint(_PIECES_IN_E * np.log(model.alpha + age)).astype(np.int64)
        keys = np.minimum(repeats, self.repeats[-1]) * height + piece - base
        row = np.searchsorted(self.repeats * height + self.piece - base, keys)
        total = np.zeros(keys.size)
        for power in reversed(range(TERMS)):
            total = total * age + self.coefficients[row, power]
        return total * model.probability_alive(repeats.astype(float), last_at.astype(float), age.astype(float))


def make_curves(model: PurchaseModel, days: int, most_repeats: int, most_days: int) -> Curves:
    """The polynomials of a period.

    Args:
        model: whose expected orders they are.
        days: the period.
        most_repeats: there are polynomials for 0 up to so many repeats,
        most_days: and for ages up to so many days, from as many as there are repeats: a day has one order.
    """
    # The more repeats, the smaller is t p / (alpha + T), and the fewer nodes suffice.
    chunks = [
        (0, 16, 64),
        (16, 64, 40),
        *((first, first + _CHUNK, 24) for first in range(64, most_repeats + 1, _CHUNK)),
    ]
    parts = [
        _curves_of(model, days, np.arange(first, min(end, most_repeats + 1)), most_days, nodes)
        for first, end, nodes in chunks
        if first <= most_repeats
    ]
    repeats, piece, coefficients = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Curves(days, repeats, piece, coefficients)


def _curves_of(
    model: PurchaseModel, days: int, repeats: Integers, most_days: int, nodes: int
) -> tuple[Integers, Integers, Floats]:
    """The polynomials of some numbers of repeats: repeats, piece and coefficients of each."""
    logarithm = _PIECES_IN_E * np.log(model.alpha + np.arange(max(most_days, int(repeats[-1])) + 1))
    pieces = np.unique(np.rint(np.concatenate([logarithm - _NEARLY, logarithm + _NEARLY]))).astype(np.int64)
    first = np.searchsorted(pieces, np.rint(logarithm[repeats] - _NEARLY).astype(np.int64))
    of_row, piece = np.nonzero(np.arange(pieces.size) >= first[:, None])
    low, high = (np.exp((pieces[piece] + edge) / _PIECES_IN_E) for edge in (-0.5, 0.5))
    middle, half = (low + high) / 2, (high - low) / 2
    points = middle[:, None] + half[:, None] * _POINTS
    p, weights = beta_quadrature(model.a, model.survivors_b + repeats.astype(float), nodes)
    exponent = -(model.r + repeats)[of_row, None, None] * np.log1p(p[of_row, None, :] * (days / points)[:, :, None])
    values = np.einsum("ryn,rn->ry", -np.expm1(exponent) / p[of_row, None, :], weights[of_row])
    return repeats[of_row], pieces[piece], _in_days(values @ _TO_COEFFICIENTS, middle - model.alpha, half)


def _in_days(coefficients: Floats, middle: Floats, half: Floats) -> Floats:
    """From coefficients of 1, s, s², ... to those of 1, T, T², ... with s = (T − middle) / half."""
    shift = -middle / half
    return np.stack(
        [
            sum(comb(j, i) * coefficients[:, j] * shift ** (j - i) for j in range(i, TERMS)) / half**i
            for i in range(TERMS)
        ],
        axis=1,
    )


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
