"""What a complete read has not seen is found by joining: a store of a million customers is compared in seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.installation import Installation
from tests.support.nodes import OPENED
from xeno_pipeline.raw import merge
from xeno_pipeline.raw.tables import ABANDONED_CHECKOUTS, CUSTOMERS, ORDERS, PRODUCTS, RawTable

STATEMENTS = [merge.missing, merge.count_missing, merge.tombstone_missing, merge.clear_missing]
BOUND = {"tenant": "acme", "read_at": OPENED, "visible_since": None, "visible_until": None}


@pytest.mark.parametrize("root", [CUSTOMERS, ORDERS, PRODUCTS, ABANDONED_CHECKOUTS], ids=lambda root: root.name)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_object_is_looked_for_in_all_that_was_seen(
    installation: Installation, root: RawTable, statement: Callable[[RawTable], str]
) -> None:
    with installation.database.connect() as connection:
        connection.execute("create temporary table seen (id bigint)")
        connection.execute(merge.CREATE_CHANGED_ROOTS)
        # More than fits into a hash table of a subquery: the planner then reads all of it for each row.
        connection.execute("insert into seen select generate_series(1, 300000)")
        connection.execute("analyze seen")
        connection.execute("set local work_mem = '64kB'")
        plan = "\n".join(line for (line,) in connection.execute(f"explain {statement(root)}", BOUND))

    assert "Anti Join" in plan, plan
