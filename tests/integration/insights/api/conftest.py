"""An API over the stores of the package, and keys for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.insights import Api, api_over
from tests.support.serving import key_for
from xeno_pipeline.access.scopes import Scope

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse


@pytest.fixture(scope="package")
def api(marts: Warehouse) -> Iterator[Api]:
    """An API over the stores."""
    with api_over(marts.database) as api:
        yield api


@pytest.fixture(scope="package")
def key(marts: Warehouse) -> str:
    """A key of all stores that sees people."""
    return key_for(marts.database, None, *Scope)


@pytest.fixture(scope="package")
def viewer(marts: Warehouse) -> str:
    """A key of `depot` that sees no people."""
    return key_for(marts.database, ["depot"])
