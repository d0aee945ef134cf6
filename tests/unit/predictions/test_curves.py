"""Expected orders by polynomials, against the closed form with the hypergeometric function."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import hyp2f1

from xeno_pipeline.predictions.curves import beta_quadrature, make_curves
from xeno_pipeline.predictions.purchases import PurchaseModel

MODELS = [
    (0.52, 43.0, 0.89, 1.61),  # CDNOW
    (0.35, 8.0, 0.7, 2.2),
    (0.5, 2.0, 0.5, 1.0),
    (2.0, 2.0, 0.3, 1.0),
    (1.0, 365.0, 1.5, 3.0),
    (0.018, 19200.0, 0.5, 0.5),  # nobody returns
    (5.0, 20.0, 0.05, 2.0),
    (0.5, 43.0, 3.0, 60.0),
    (1.5, 10.0, 1.2e-4, 1.0),  # nobody ever leaves
    (1.5, 10.0, 1.2e-4, 8000.0),
]


def closed_form(model: PurchaseModel, days: int, repeats: int, age: NDArray[np.float64]) -> NDArray[np.float64]:
    """E[orders in the next days | alive]: Batislam et al. 2007, with a + b + x for the mean of dropout."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b + repeats + 1
    ratio = (alpha + age) / (alpha + age + days)
    series = hyp2f1(r + repeats, b, a + b - 1, days / (alpha + age + days))
    return (a + b - 1) / (a - 1) * (1 - ratio ** (r + repeats) * series)


@pytest.mark.parametrize("parameters", MODELS)
@pytest.mark.parametrize("days", [90, 365])
def test_polynomials_equal_the_closed_form_to_a_millionth(parameters: tuple[float, ...], days: int) -> None:
    r, alpha, a, b = parameters
    model = PurchaseModel(r, alpha, a, b, log_likelihood=0.0, is_at_bound=False)
    curves = make_curves(model, days, 100, 7300)
    for repeats in (0, 1, 2, 3, 4, 10, 15, 16, 40, 100):
        age = np.unique(np.geomspace(max(repeats, 1), 7300, 40).round())
        age = np.append(age, repeats).astype(float)
        same = np.full(age.size, repeats)
        expected = curves.expected(model, same, age.astype(int), age.astype(int))
        alive = model.probability_alive(same.astype(float), age, age)
        assert expected / alive == pytest.approx(closed_form(model, days, repeats, age), rel=1e-6)


def test_a_dropout_that_the_closed_form_divides_by_zero_for() -> None:
    model = PurchaseModel(0.5, 40.0, 1.0, 2.0, log_likelihood=0.0, is_at_bound=False)
    curves = make_curves(model, 90, 5, 100)
    beside = PurchaseModel(0.5, 40.0, 1.0 + 1e-7, 2.0, log_likelihood=0.0, is_at_bound=False)
    some = np.arange(6)
    expected = curves.expected(model, some, some * 10, some * 20)
    assert expected == pytest.approx(
        make_curves(beside, 90, 5, 100).expected(beside, some, some * 10, some * 20), rel=1e-6
    )


def test_a_thousand_repeats() -> None:
    model = PurchaseModel(0.5, 40.0, 0.7, 2.0, log_likelihood=0.0, is_at_bound=False)
    curves = make_curves(model, 90, 1000, 1000)
    days = np.array([1000])
    # Someone who ordered on each of 1,000 days, the last one included, goes on.
    assert 80 < curves.expected(model, days, days, days)[0] < 90


def test_quadrature_has_the_moments_of_the_distribution() -> None:
    b = np.array([0.5, 2.0, 30.0])
    nodes, weights = beta_quadrature(0.7, b, 8)
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1])
    assert (nodes * weights).sum(axis=1) == pytest.approx(0.7 / (0.7 + b))
    assert (nodes**2 * weights).sum(axis=1) == pytest.approx(0.7 * 1.7 / ((0.7 + b) * (1.7 + b)))
