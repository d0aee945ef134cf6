"""Whatever the settings of a session are, the marts that it makes and what it reads in them are the same."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import psycopg
import pytest

from tests.support.marts.store import OPENED, Store
from tests.support.marts.warehouse import Marts, Warehouse, differences
from xeno_pipeline.monitoring.checks import ASSET_CHECKS, evaluate
from xeno_pipeline.settings import load_settings

pytestmark = pytest.mark.thorough

# Clocks are set forward at midnight in Cairo, Havana and Beirut, so a day of these has no midnight; Apia had no
# 30 December 2011, and Kiritimati no 31 December 1994, at all.
ZONES = ("Africa/Cairo", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Pacific/Kiritimati")
ODD_DAYS = ("1994-12-30", "1994-12-31", "1995-01-01", "2011-12-29", "2011-12-30", "2026-03-08", "2026-03-29")


def _settings(zone: str) -> dict[str, str]:
    return {
        "TimeZone": zone,
        "DateStyle": "German" if zone.startswith("Pacific") else "SQL, DMY",
        "IntervalStyle": "sql_standard",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
        "search_path": "nowhere",
    }


def test_marts_are_the_same_whatever_is_set_for_the_database(warehouse: Warehouse) -> None:
    _set(warehouse, _settings("Africa/Cairo"))
    warehouse.register([("egypt", "Africa/Cairo", "EUR"), ("samoa", "Pacific/Apia", "EUR"), ("utc", "UTC", "EUR")])
    stores = [_trade(handle) for handle in ("egypt", "samoa", "utc")]
    for store in stores:
        store.load(warehouse)
    warehouse.transform()
    warehouse.execute("update marts.rfm_history set valid_from = '2011-12-30'")
    for store in stores:
        store.refund(min(store.orders), hour=_hour("2026-04-24"))
        for _ in range(3):
            store.place_order(max(store.customers), hour=_hour("2026-04-23") + 23, product=None, price="500.00")
        store.load(warehouse)
    warehouse.transform()
    made = _read(warehouse, {})
    with warehouse.database.connect() as connection:
        found = [finding.message for check in ASSET_CHECKS for finding in evaluate(connection, load_settings(), check)]

    _set(warehouse, dict.fromkeys(_settings("UTC"), "default"))
    warehouse.rebuild()
    rebuilt = _read(warehouse, {})

    assert differences(made, rebuilt) == {}
    assert any("segment_change" in event for event in rebuilt["marts.customer_timeline"])
    assert (
        warehouse.value("select count(*) from marts.revenue_daily where date_day in ('2011-12-30', '1994-12-31')") == 6
    )
    for zone in ZONES:
        assert differences(_read(warehouse, _settings(zone)), rebuilt) == {}, zone
    with warehouse.database.connect() as connection:
        assert found == [
            finding.message for check in ASSET_CHECKS for finding in evaluate(connection, load_settings(), check)
        ]


def _trade(handle: str) -> Store:
    """A store that sold something at every hour around the odd days, and left a checkout and a cart."""
    store = Store(handle)
    product = store.add_product()
    customers = [store.add_customer() for _ in range(3)]
    for number, day in enumerate(ODD_DAYS):
        for hour in (0, 11, 23):
            store.place_order(customers[number % 3], hour=_hour(day) + hour, product=product)
    store.leave_checkout(customers[0], _hour("2026-03-29"))
    store.fill_cart(_hour("2026-03-29"))
    return store


def _hour(day: str) -> int:
    """Hours from a store's opening to a day's beginning."""
    return int((datetime.fromisoformat(f"{day}T00:00Z") - OPENED).total_seconds()) // 3600


def _set(warehouse: Warehouse, settings: dict[str, str]) -> None:
    """Settings of the database, for sessions that begin from now on."""
    name = warehouse.value("select current_database()")
    for setting, value in settings.items():
        literal = value if value == "default" else f"'{value}'"
        warehouse.execute(f"alter database {name} set {setting} = {literal}")


def _read(warehouse: Warehouse, settings: dict[str, str]) -> Marts:
    """Every row of every relation, as a session with these settings sees it, which it could not write down the same."""
    relations = warehouse.query(
        """
        select table_schema, table_name from information_schema.tables
        where table_schema = 'marts' or table_schema = 'intermediate' and table_type = 'BASE TABLE'
            order by 1, 2
        """
    )
    warehouse.execute("drop schema if exists seen cascade")
    with psycopg.connect(warehouse.database.url) as session:
        session.execute("create schema seen")
        for setting, value in settings.items():
            session.execute("select set_config(%s, %s, false)", [setting, value])
        for schema, name in relations:
            session.execute(f"create table seen.{schema}_{name} as select * from {schema}.{name}")
    return {
        f"{schema}.{name}": Counter(row for (row,) in warehouse.query(f"select m::text from seen.{schema}_{name} m"))
        for schema, name in relations
    }
