"""The queries of the benchmark of BI tools: each finds, as a tenant, what the owner finds of that tenant."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.bench.bi import VIEWS, of_tenant, read_queries
from xeno_pipeline.database.roles import grant_bi_role

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

pytestmark = pytest.mark.thorough

TENANT = "depot"


def test_a_tenant_finds_what_the_owner_finds_of_it(marts: Warehouse) -> None:
    role = grant_bi_role(marts.database, TENANT)
    found = 0
    with psycopg.connect(marts.database.url, user=role.name) as tenant, marts.database.connect() as owner:
        for name, query in (read_queries() | read_queries(VIEWS)).items():
            whole = re.sub(r"\blimit \d+$", "", query)  # which rows of equal rank come first is left to the plan
            rows = Counter(map(repr, tenant.execute(whole).fetchall()))
            assert rows == Counter(map(repr, owner.execute(of_tenant(whole, TENANT)).fetchall())), name
            found += bool(rows)
    assert found >= 35, "most of them find something"
