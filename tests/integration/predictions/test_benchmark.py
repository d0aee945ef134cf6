"""The benchmark of predictions, on stores small enough for a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bench.goals import GOALS
from tests.bench.predictions import LARGE, fill, measure
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.database.roles import revoke_bi_role

pytestmark = pytest.mark.thorough


def test_it_measures_fits_and_what_follows_from_them(make_warehouse: Callable[[], Warehouse]) -> None:
    database = make_warehouse().database
    fill(database, {LARGE: 900, "small": 75})
    figures = measure(database, lambda: 0.0, ["small"])
    with database.connect() as connection:
        revoke_bi_role(connection, LARGE)
    assert set(GOALS["predictions"]) <= set(figures)
    assert min(figures.values()) > 0
