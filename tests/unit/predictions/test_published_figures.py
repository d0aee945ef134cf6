"""The models against what was published of them, on the data that it was published with."""

from __future__ import annotations

from math import log

import pytest

from tests.support import cdnow
from tests.support.order_days import order_days
from xeno_pipeline.predictions.curves import make_curves
from xeno_pipeline.predictions.order_days import days_since_epoch
from xeno_pipeline.predictions.purchases import PurchaseModel, fit_purchases
from xeno_pipeline.predictions.statistics import OrderDays, Statistics
from xeno_pipeline.predictions.values import correlation_with_frequency, fit_values

ORIGIN = days_since_epoch(cdnow.CALIBRATED_BEFORE)


@pytest.fixture(scope="module")
def days() -> OrderDays:
    return order_days(cdnow.orders())


@pytest.fixture(scope="module")
def known(days: OrderDays) -> Statistics:
    return days.known_before(ORIGIN)


def _in_weeks(model: PurchaseModel, known: Statistics) -> list[float]:
    log_likelihood = model.log_likelihood + log(7) * known.repeats.sum()
    return [model.r, model.alpha / 7, model.a, model.b, log_likelihood]


def test_bg_nbd_is_that_of_fader_hardie_and_lee(known: Statistics) -> None:
    model = fit_purchases(*known.grouped(), is_modified=False)
    assert _in_weeks(model, known) == pytest.approx([0.2426, 4.4136, 0.7929, 2.4259, -9582.43], rel=1e-4)
    assert not model.is_at_bound


def test_bg_nbd_predicts_the_published_number_of_orders(days: OrderDays, known: Statistics) -> None:
    model = fit_purchases(*known.grouped(), is_modified=False)
    curves = make_curves(model, cdnow.HOLDOUT_DAYS, int(known.repeats.max()), int(known.age.max()))
    predicted = curves.expected(model, known.repeats, known.last_at, known.age).sum()
    assert predicted == pytest.approx(1653, rel=0.01)
    assert days.orders_between(ORIGIN, ORIGIN + cdnow.HOLDOUT_DAYS).sum() == 1882


def test_mbg_nbd_is_that_of_other_implementations(known: Statistics) -> None:
    model = fit_purchases(*known.grouped())
    assert _in_weeks(model, known) == pytest.approx([0.5248, 6.1830, 0.8914, 1.6140, -9582.13], rel=1e-4)


def test_gamma_gamma_is_that_of_fader_and_hardie(known: Statistics) -> None:
    some = known.mean_value > 0
    assert some.sum() == 946
    model = fit_values(known.valued[some].astype(float), known.mean_value[some])
    assert model is not None
    assert [model.p, model.q, model.v] == pytest.approx([6.25, 3.74, 15.44], abs=0.01)
    correlation = correlation_with_frequency(known)
    assert correlation is not None
    assert correlation == pytest.approx(0.11, abs=0.01)


def test_who_ordered_once_is_alive_for_sure_by_bg_nbd_only(known: Statistics) -> None:
    repeats, last_at, age, _ = known.grouped()
    once = repeats == 0
    for is_modified in (False, True):
        model = fit_purchases(*known.grouped(), is_modified=is_modified)
        alive = model.probability_alive(repeats, last_at, age)[once]
        assert (alive.max() == 1) is not is_modified
