"""`xeno segment`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.marts.store import Store
from tests.support.marts.warehouse import Warehouse
from tests.support.xeno_command import Said
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[..., Warehouse]) -> Warehouse:
    """A store with marts: one customer of one order, one of two."""
    warehouse = make_warehouse()
    warehouse.register([("acme", "UTC", "EUR")])
    store = Store("acme")
    for orders in (1, 2):
        customer = store.add_customer()
        for hour in range(orders):
            store.place_order(customer, hour, product=None)
    store.load(warehouse)
    warehouse.transform()
    return warehouse


@pytest.fixture
def machine(warehouse: Warehouse, tmp_path: Path) -> Installation:
    home = tmp_path / "home"
    return Installation(warehouse.database, load_key_ring(Settings(home=home)), home / "spool")


def test_segments_are_added_listed_shown_and_removed(main: Callable[..., Said], warehouse: Warehouse) -> None:
    assert "acme has no segments" in main("segment", "list", "acme").out
    added = main(
        "segment", "add", "acme", "Came back", "-", "--description", "Good people.", stdin="number_of_orders>1\n"
    )
    assert added.exit_code == 0, added.err
    assert added.out.startswith("Came back is saved as number 1: 1 of 2 customers, with net sales of 39.50.")
    assert "xeno transform acme" in added.out
    (line,) = main("segment", "list", "acme").out.splitlines()[1:]
    assert line.split() == ["1", "Came", "back", "–", "–", "–", "–", "–", "number_of_orders", ">", "1"]

    warehouse.transform()
    (line,) = main("segment", "list", "acme").out.splitlines()[1:]
    assert line.split()[3:8] == ["1", "50.0%", "39.50", "1", "0"]
    shown = main("segment", "show", "acme", "came back").out
    assert all(
        text in shown for text in ("Good people.", "number_of_orders > 1", "Now: 1 of 2 customers", "Who joined")
    )

    assert "Came back is removed" in main("segment", "remove", "acme", "1").out
    assert "acme has no segments" in main("segment", "list", "acme").out

    assert "Champions: 0 of 2 customers" in main("segment", "starters", "acme").out
    assert "has them all already" in main("segment", "starters", "acme").out
    assert len(main("segment", "list", "acme").out.splitlines()) == 6


def test_a_query_that_is_not_understood_is_shown_with_its_place(main: Callable[..., Said]) -> None:
    said = main("segment", "add", "acme", "Wrong", "units > 1 AND number_of_order = 2")
    assert (said.exit_code, said.out) == (2, "")
    assert said.err.splitlines() == [
        "units > 1 AND number_of_order = 2",
        "              ^",
        "There is no attribute number_of_order; did you mean number_of_orders?",
    ]


def test_what_is_not_there_is_said_in_a_sentence(main: Callable[..., Said]) -> None:
    unknown = main("segment", "list", "nobody")
    assert (unknown.exit_code, unknown.out) == (2, "")
    assert "nobody" in unknown.err
    assert "acme has no segment Nothing" in main("segment", "show", "acme", "Nothing").err


def test_without_marts_it_is_said_how_they_are_made(main: Callable[..., Said], database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            insert into ops.tenants
                (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
            values ('acme', 'acme', 'acme', '', 'acme', 'EUR', 'UTC', 'Basic', '{}')
            """
        )
    said = main("segment", "list", "acme", XENO_DATABASE_URL=database.url)
    assert (said.exit_code, "xeno db migrate" in said.err) == (2, True)
