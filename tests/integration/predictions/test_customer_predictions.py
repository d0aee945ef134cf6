"""A store whose customers buy as the model says: from its orders to the marts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from tests.support.buyers import Buyers
from tests.support.marts.store import OPENED, Store
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.predictions.refit import refit

DAYS = 420
TODAY = OPENED.date() + timedelta(days=DAYS + 3)


@pytest.fixture(scope="module")
def predicted(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    warehouse.register([("buyers", "Europe/Berlin", "EUR"), ("nobody", "UTC", "EUR")])
    store = Store("buyers")
    for days in Buyers().draw(900, DAYS, seed=7):
        customer = store.add_customer()
        for day, value in days:
            store.place_order(customer, day * 24 + 10, product=None, price=f"{value:.2f}")
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    report = refit(warehouse.database, warehouse.tenants())
    assert report.failures.by_tenant() == {}
    return warehouse


def test_all(predicted: Warehouse) -> None:
    print(predicted.query("select * from intermediate.prediction_fits"))
    for r in predicted.query("select * from marts.prediction_quality order by 2"):
        print(r)
    for r in predicted.query("select * from marts.customer_predictions order by 2 limit 5"):
        print(r)
    print(
        predicted.query(
            "select count(*), count(probability_alive), sum(expected_orders_90d), min(unreliable_because) from marts.customer_predictions"
        )
    )
    print(predicted.query("explain verbose select count(*) from marts.customer_predictions"))
    assert 0
