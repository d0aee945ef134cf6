"""Loading and transforming need no superuser: a role that owns its database does all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop
from tests.support.isolated_marts import Marts, session, tenants_seen
from xeno_pipeline.marts.transform import TransformRequest, transform
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.offboarding import remove_tenant

pytestmark = pytest.mark.thorough


def test_an_owner_that_is_no_superuser_migrates_syncs_transforms_tests_and_removes(
    make_marts: Callable[[str | None], Marts], ring: KeyRing, shelf: Shop, shop: Shop, tmp_path: Path
) -> None:
    marts = make_marts("careful")
    with marts.owner.connect() as connection:
        row = connection.execute(
            "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == (False,)
    installation = Installation(marts.owner, ring, tmp_path / "spool")
    tenants = [shelf.handle, shop.handle]
    for store in (shelf, shop):
        installation.sync(installation.connect(store))

    for test in (False, True):
        report = transform(marts.owner, marts.project, TransformRequest(tenants, test=test, only_due=False))
        assert (report.tenant_ids, report.failures, report.failed_tests) == (tenants, {}, [])

    with session(marts.owner) as owner, session(marts.bi(shelf.handle)) as bi:
        assert tenants_seen(owner) == set(tenants)
        assert tenants_seen(bi) == {shelf.handle}
        with owner.transaction():
            remove_tenant(owner, shelf.handle)
        assert tenants_seen(owner) == {shop.handle}
