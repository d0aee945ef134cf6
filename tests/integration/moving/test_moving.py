"""A tenant that moves to another installation has there what it had, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop, changed
from tests.support.marts.warehouse import Warehouse, differences
from tests.support.moving import export, import_
from xeno_pipeline.tenants.credentials import KeyRing


@pytest.fixture
def old(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    return make_warehouse()


@pytest.fixture
def new(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    return make_warehouse()


def test_a_tenant_has_the_same_marts_where_it_moves_to(
    old: Warehouse, new: Warehouse, ring: KeyRing, shop: Shop, tmp_path: Path
) -> None:
    there = Installation(old.database, ring, tmp_path)
    here = Installation(new.database, KeyRing({"other": bytes(range(1, 33))}), tmp_path)
    there.sync(there.connect(shop))
    old.transform()

    export(there, shop.handle, tmp_path / "archive")
    imported = import_(here, tmp_path / "archive")
    new.transform()

    assert imported.notes == ()
    assert changed(there.raw(), here.raw()) == {}
    assert differences(old.marts(), new.marts()) == {}
