"""A store whose customers buy as the model says: from its orders to the marts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pytest
from scipy.special import hyp2f1

from shopify_sandbox.buyers import Buyers
from tests.support.marts.store import OPENED, Store
from tests.support.marts.warehouse import Warehouse, differences
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.roles import grant_bi_role, revoke_bi_role
from xeno_pipeline.defs.assets.previews import draw_previews
from xeno_pipeline.insights.customers import customers_of
from xeno_pipeline.monitoring.checks import PREDICTIONS, evaluate
from xeno_pipeline.predictions.purchases import PurchaseModel
from xeno_pipeline.predictions.values import ValueModel
from xeno_pipeline.raw.tables import ORDERS
from xeno_pipeline.segments.registry import save_segment
from xeno_pipeline.settings import load_settings
from xeno_pipeline.tenants.bisection import Failures

pytestmark = pytest.mark.thorough

DAYS = 420
TODAY = OPENED.date() + timedelta(days=DAYS + 5)  # a Tuesday
MONDAY = TODAY - timedelta(days=TODAY.weekday())


def _fill(store: Store) -> None:
    for days in Buyers(700, DAYS, r=1.0).draw(seed=5):
        customer = store.add_customer()
        for day, value in days:
            store.place_order(customer, day * 24 + 10, product=None, price=f"{value:.2f}")
    store.place_order(None, 24, product=None, price="99.00")  # a guest


@pytest.fixture(scope="module")
def store() -> Store:
    store = Store("buyers")
    _fill(store)
    return store


@pytest.fixture(scope="module")
def predicted(make_warehouse: Callable[[], Warehouse], store: Store) -> Warehouse:
    warehouse = make_warehouse()
    warehouse.register([("buyers", "Europe/Berlin", "EUR"), ("nobody", "UTC", "EUR"), ("guests", "UTC", "EUR")])
    store.load(warehouse)
    guests = Store("guests")
    for day in range(300):
        guests.place_order(None, day * 24, product=None)
    guests.load(warehouse)
    report = warehouse.transform(as_of=TODAY, refit=True)
    assert report.afterwards.by_tenant() == {}
    assert set(report.refitted_tenant_ids) == {"buyers", "guests", "nobody"}
    return warehouse


def _believed(warehouse: Warehouse) -> None:
    """Let the figures be believed, whatever the backtests found."""
    warehouse.execute(
        "update intermediate.prediction_fits set worst_orders_error = 0, auc = 1, auc_recency = 0, brier_skill = 1"
    )


def test_sql_predicts_what_the_closed_forms_say(predicted: Warehouse, make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse(predicted)
    _believed(warehouse)
    r, alpha, a, b, p, q, v, kept = warehouse.query(
        "select r, alpha, a, b, p, q, v, kept_share from intermediate.prediction_fits where tenant_id = 'buyers'"
    )[0]
    rows = warehouse.query(
        """
        select order_days - 1, last_order_on - first_order_on, %s - first_order_on, valued_repeats, repeat_sales,
            probability_alive, probability_order_90d, expected_orders_90d, expected_orders_365d, expected_order_value,
            expected_net_sales_90d, expected_net_sales_365d
        from marts.customer_predictions join intermediate.int_customers using (tenant_id, customer_id)
        """,
        TODAY,
    )
    assert len(rows) == 700
    repeats, last_at, age, valued, spent, alive, order, soon, year, value, sales, year_sales = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    model = PurchaseModel(r, alpha, a, b, log_likelihood=0.0, is_at_bound=False)
    values = ValueModel(p, q, v, log_likelihood=0.0)
    assert alive == pytest.approx(model.probability_alive(repeats, last_at, age), rel=1e-9)
    assert order == pytest.approx(model.probability_order(90, repeats, last_at, age), rel=1e-9)
    for days, found in ((90, soon), (365, year)):
        ratio = (alpha + age) / (alpha + age + days)
        series = hyp2f1(r + repeats, b + repeats + 1, a + b + repeats, days / (alpha + age + days))
        expected = alive * (a + b + repeats) / (a - 1) * (1 - ratio ** (r + repeats) * series)
        assert found == pytest.approx(expected, rel=1e-6)
    assert value == pytest.approx(values.expected(valued, spent / np.maximum(valued, 1)), abs=0.001)
    assert sales == pytest.approx(soon * value * kept, abs=0.001)
    assert year_sales == pytest.approx(year * value * kept, abs=0.01)
    assert valued.max() > 5


def test_the_most_valuable_are_found_in_parallel_and_only_what_is_asked_for_is_computed(predicted: Warehouse) -> None:
    role = grant_bi_role(predicted.database, "buyers")
    query = """
        explain (verbose, costs off) select customer_id, {} from marts.customer_predictions
        where tenant_id = 'buyers' order by 2 desc nulls last limit 100
        """
    try:
        for user in ("xeno", role.name):
            with Database(predicted.database.url.replace("//xeno@", f"//{user}@")).connect() as connection:
                connection.execute("set debug_parallel_query = on")  # whatever can be, however small
                sales, chance = (
                    "\n".join(line for (line,) in connection.execute(query.format(column)).fetchall())
                    for column in ("expected_net_sales_365d", "probability_order_90d")
                )
            assert "Gather" in sales
            assert "prediction_curves" in sales
            assert "prediction_curves" not in chance
    finally:
        with predicted.database.connect() as connection:
            revoke_bi_role(connection, "buyers")


def test_no_customer_is_an_error(predicted: Warehouse, make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse(predicted)
    _believed(warehouse)
    for change in (
        "repeat_sales = 9999999999999999, valued_repeats = 1",
        "repeat_sales = -9999999999999999",
        "first_order_on = '2030-01-01', last_order_on = '2030-01-02'",
        "last_order_on = '2030-01-02'",
        "order_days = 5000, first_order_on = '2010-01-01'",
        "first_order_on = '1970-01-01', last_order_on = '1970-01-01'",
    ):
        with warehouse.database.connect() as connection:
            connection.execute(f"update intermediate.int_customers set {change} where tenant_id = 'buyers'")
            found = connection.execute("select * from marts.dim_customers where tenant_id = 'buyers'").fetchall()
            assert len(found) == 700, change
            connection.rollback()
    warehouse.execute("update intermediate.prediction_fits set kept_share = 1e9 where tenant_id = 'buyers'")
    assert warehouse.value("select max(expected_net_sales_365d) from marts.customer_predictions") > 1e9


def test_segments_and_the_api_ask_for_them(predicted: Warehouse, make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse(predicted)
    _believed(warehouse)
    with warehouse.database.connect() as connection:
        segment = save_segment(connection, "buyers", "Likely", "probability_order_90d > 0.6")
    warehouse.transform()  # of now: a transform as of another day records no members
    members = warehouse.query("select customer_id from marts.segment_members where segment_id = %s", segment.segment_id)
    likely = warehouse.query("select customer_id from marts.customer_predictions where probability_order_90d > 0.6")
    assert sorted(members) == sorted(likely) != []
    with warehouse.database.connect() as connection:
        connection.execute("set search_path = marts")
        customers = customers_of(connection, "buyers", [likely[0][0]])
    assert (customers[0].probability_order_90d or 0) > 0.6
    assert customers[0].expected_net_sales_365d is not None


def test_a_check_finds_models_that_were_not_fitted(
    predicted: Warehouse, make_warehouse: Callable[..., Warehouse]
) -> None:
    warehouse = make_warehouse(predicted)
    warehouse.execute("update ops.tenants set connected_at = now() - interval '3 days'")
    warehouse.execute("update ops.tenant_marts set transformed_at = now() - interval '2 hours'")
    with warehouse.database.connect() as connection:
        assert evaluate(connection, load_settings(), PREDICTIONS) == []
        connection.execute(
            "update intermediate.prediction_fits set fitted_on = fitted_on - 14 where tenant_id = 'buyers'"
        )
        connection.execute("delete from intermediate.prediction_fits where tenant_id = 'guests'")
        found = {finding.tenant_id: finding.message for finding in evaluate(connection, load_settings(), PREDICTIONS)}
    assert set(found) == {"buyers", "guests"}
    assert "last fitted" in found["buyers"]


def test_what_is_fitted_is_what_was_known_on_monday(predicted: Warehouse) -> None:
    fitted_on, customers, repeaters, history, kept = predicted.query(
        "select fitted_on, customers, repeat_customers, history_days, kept_share "
        "from intermediate.prediction_fits where tenant_id = 'buyers'"
    )[0]
    assert fitted_on == MONDAY
    assert (customers, repeaters) == predicted.query(
        """
        select count(*), count(*) filter (where days > 1) from (
            select count(distinct ordered_on) as days from marts.fct_orders
            where tenant_id = 'buyers' and customer_id is not null and ordered_on < %s group by customer_id
        ) buyers
        """,
        MONDAY,
    )[0]
    assert history == predicted.value(
        "select %s - min(ordered_on) from marts.fct_orders where tenant_id = 'buyers' and customer_id is not null",
        MONDAY,
    )
    assert kept == 1


def test_a_backtest_counts_what_happened(predicted: Warehouse) -> None:
    tests = predicted.query(
        "select origin_on, actual_orders, actual_net_sales, customers from marts.prediction_quality "
        "where tenant_id = 'buyers' and actual_orders is not null order by 1 desc"
    )
    assert [origin for origin, *_ in tests] == [MONDAY - timedelta(days=90 * each) for each in (1, 2, 3)]
    for origin, *found in tests:
        assert (
            tuple(found)
            == predicted.query(
                """
            select count(distinct (customer_id, ordered_on)), sum(orders.net_sales), (
                select count(*) from intermediate.int_customers
                where tenant_id = 'buyers' and first_order_on < %s
            )
            from marts.fct_orders orders join intermediate.int_customers customers using (tenant_id, customer_id)
            where tenant_id = 'buyers' and ordered_on >= %s and ordered_on < %s and first_order_on < %s
            """,
                *(origin, origin, origin + timedelta(days=90), origin),
            )[0]
        )


def test_the_page_of_the_mart_draws_the_fifths_beside_the_diagonal(predicted: Warehouse) -> None:
    key = dg.AssetKey(["marts", "prediction_quality"])
    drawn = draw_previews(predicted.database, [(key, "buyers"), (key, "nobody")], Failures())
    shown = str(drawn[key, "buyers"]["calibration"])
    dots = re.search(r"stroke-linecap='round'%20d='(M[^']+)'", shown)
    assert dots is not None
    assert dots[1].count("M") == 5
    assert "image/svg" not in str(drawn[key, "nobody"]["calibration"])


def test_what_is_not_believed_is_null_and_said(predicted: Warehouse, make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse(predicted)
    _believed(warehouse)
    probabilities, orders = ["probability_order_90d"], ["expected_orders_90d", "expected_orders_365d"]
    sales = ["expected_net_sales_90d", "expected_net_sales_365d"]
    everything = {"probability_alive", "expected_order_value", *probabilities, *orders, *sales}
    for column, value, withheld, word in [
        ("customers", 299, everything, "300 customers"),
        ("repeat_customers", 99, everything, "100 of whom"),
        ("history_days", 179, everything, "180 days"),
        ("is_at_bound", True, {"probability_alive"}, "leave for good"),
        ("auc", 0.5, everything - {"expected_order_value"}, "who orders again"),
        ("brier_skill", 0.0, everything - {"expected_order_value"}, "who orders again"),
        ("worst_orders_error", 0.26, {*orders, *sales}, "season"),
        ("worst_orders_error", None, {*orders, *sales}, "season"),
        ("value_correlation", -0.31, {"expected_order_value", *sales}, "how often"),
        ("p", None, {"expected_order_value", *sales}, "how often"),
    ]:
        with warehouse.database.connect() as connection:
            connection.execute(
                "update intermediate.prediction_fits set auc = 0.7, auc_recency = 0.6, brier_skill = 0.1, "
                "worst_orders_error = 0.25, value_correlation = 0.3, is_at_bound = false"
            )
            assert _nulls(connection) == (set(), None)
            connection.execute(f"update intermediate.prediction_fits set {column} = %s", [value])
            found, because = _nulls(connection)
            assert found == withheld, column
            assert word in (because or ""), because
            connection.rollback()


def _nulls(connection: Any) -> tuple[set[str], str | None]:
    """The predictions that are null for all customers, the others being so for none; and why."""
    cursor = connection.execute("select * from marts.customer_predictions where tenant_id = 'buyers'")
    names, rows = [column.name for column in cursor.description], cursor.fetchall()
    found = {name: {row[number] is None for row in rows} for number, name in enumerate(names)}
    assert {name for name, nulls in found.items() if len(nulls) > 1} == set()
    ((because, is_reliable),) = {(row[-1], row[-2]) for row in rows}
    assert is_reliable is (because is None)
    return {name for name, nulls in found.items() if nulls == {True}} - {"unreliable_because"}, because


def test_stores_without_customers_are_not_believed(predicted: Warehouse) -> None:
    assert predicted.value("select count(*) from marts.customer_predictions where tenant_id <> 'buyers'") == 0
    quality = predicted.query(
        "select tenant_id, origin_on, customers, is_reliable, unreliable_because from marts.prediction_quality "
        "where tenant_id <> 'buyers' order by 1"
    )
    assert [row[:4] for row in quality] == [
        (tenant, MONDAY - timedelta(days=90), 0, False) for tenant in ("guests", "nobody")
    ]
    assert all("Too little is known" in row[4] for row in quality)


def test_before_the_first_fit_it_says_so(make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse()
    warehouse.register([("young", "UTC", "EUR")])
    store = Store("young")
    store.place_order(store.add_customer(), 0, product=None)
    store.load(warehouse)
    warehouse.transform(as_of=TODAY)
    ((fitted_on, alive, is_reliable, because),) = warehouse.query(
        "select fitted_on, probability_alive, is_reliable, unreliable_because from marts.customer_predictions"
    )
    assert (fitted_on, alive, is_reliable) == (None, None, False)
    assert "not fitted yet" in because


def test_a_day_later_it_is_neither_fitted_nor_written_again(
    predicted: Warehouse, make_warehouse: Callable[..., Warehouse]
) -> None:
    warehouse = make_warehouse(predicted)
    _believed(warehouse)
    before, versions = _probabilities(warehouse), _row_versions(warehouse)
    report = warehouse.transform(as_of=TODAY + timedelta(days=1), refit=True)  # still the same week
    assert report.refitted_tenant_ids == []
    assert _row_versions(warehouse) == versions
    after = _probabilities(warehouse)
    assert after.keys() == before.keys()
    assert all(after[customer] < before[customer] for customer in before)


def test_on_the_next_monday_it_is_fitted_again(predicted: Warehouse, make_warehouse: Callable[..., Warehouse]) -> None:
    warehouse = make_warehouse(predicted)
    report = warehouse.transform("buyers", as_of=MONDAY + timedelta(days=7), refit=True)
    assert report.refitted_tenant_ids == ["buyers"]
    assert _fitted_on(warehouse) == MONDAY + timedelta(days=7)


def test_only_what_was_fitted_on_makes_a_fit_stale(
    predicted: Warehouse, store: Store, make_warehouse: Callable[..., Warehouse]
) -> None:
    warehouse = make_warehouse(predicted)
    hours = (TODAY - OPENED.date()).days * 24
    customer = next(iter(store.customers))
    changes: list[tuple[Callable[[], object], bool, bool]] = [
        (lambda: store.place_order(customer, hours, product=None), False, False),  # of today
        (lambda: _rename(store), True, False),  # of long ago, but nothing that was fitted on
        (lambda: store.place_order(customer, 300, product=None), True, True),  # of long ago
    ]
    for change, is_stale, is_fitted in changes:
        change()
        store.load(warehouse)
        warehouse.transform(as_of=TODAY)
        digest = _digest(warehouse)
        assert (
            warehouse.value("select is_stale from intermediate.prediction_fits where tenant_id = 'buyers'") is is_stale
        )
        report = warehouse.transform(as_of=TODAY, refit=True)
        assert report.refitted_tenant_ids == (["buyers"] if is_fitted else [])
        assert (_digest(warehouse) != digest) is is_fitted
        assert warehouse.value("select bool_or(is_stale) from intermediate.prediction_fits") is False
    incremental = warehouse.marts()
    warehouse.rebuild(refit=True)
    assert differences(incremental, warehouse.marts()) == {}
    assert sum(incremental["intermediate.prediction_curves"].values()) > 30


def _rename(store: Store) -> None:
    store._touch(ORDERS, next(iter(store.orders.values())))["name"] = "#renamed"


def _probabilities(warehouse: Warehouse) -> dict[int, float]:
    return dict(warehouse.query("select customer_id, probability_order_90d from marts.customer_predictions"))


def _row_versions(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        """
        select xmin::text, tenant_id, 0 from intermediate.prediction_fits
        union all select xmin::text, tenant_id, repeats from intermediate.prediction_curves
        union all select xmin::text, tenant_id, customer_id from intermediate.int_customers
        order by 2, 3, 1
        """
    )


def _fitted_on(warehouse: Warehouse) -> date:
    found: date = warehouse.value("select fitted_on from intermediate.prediction_fits where tenant_id = 'buyers'")
    return found


def _digest(warehouse: Warehouse) -> str:
    found: str = warehouse.value("select digest from intermediate.prediction_fits where tenant_id = 'buyers'")
    return found
