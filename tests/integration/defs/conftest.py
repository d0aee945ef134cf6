"""A code location over a database of the test's own, and Dagster's real instance in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.location import Location, locate
from xeno_pipeline.database.connection import Database


@pytest.fixture
def location(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Location]:
    with locate(database, tmp_path, monkeypatch) as found:
        yield found
