"""A code location over a database of the test's own, and Dagster's real instance in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.location import Location, locate
from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.database.connection import Database


@pytest.fixture(scope="session")
def make_located(
    make_warehouse: Callable[[], Warehouse],
    make_database: Callable[..., Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], Database]:
    """Makes databases with the marts' relations and Dagster's tables, which take seconds to make."""
    template = make_warehouse().database
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XENO_HOME", str(tmp_path_factory.mktemp("location")))
        with locate(template, tmp_path_factory.mktemp("spool"), environment) as location:
            location.instance.get_runs_count()
    with template.connect() as connection:
        name = connection.info.dbname
    return lambda: make_database(name)


@pytest.fixture
def location(
    make_located: Callable[[], Database],
    drop_database: Callable[[Database], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Location]:
    database = make_located()
    with locate(database, tmp_path, monkeypatch) as found:
        yield found
    drop_database(database)
