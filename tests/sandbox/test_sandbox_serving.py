"""The server answers the product's own queries, by pages and in bulk."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from sandbox_client import AdminClient, operation


@pytest.mark.parametrize(
    ("pages", "bulk", "connection"),
    [
        ("OrdersPage", "OrdersBulk", "orders"),
        ("CustomersPage", "CustomersBulk", "customers"),
        ("ProductsPage", "ProductsBulk", "products"),
        ("AbandonedCheckoutsPage", "AbandonedCheckoutsBulk", "abandonedCheckouts"),
    ],
)
def test_bulk_gives_as_many_root_objects_as_pages(berlin: AdminClient, pages: str, bulk: str, connection: str) -> None:
    nodes = berlin.pages(pages, first=100)
    done = berlin.bulk(operation(bulk))
    lines: list[dict[str, Any]] = [json.loads(line) for line in requests.get(done["url"], timeout=30).iter_lines()]
    assert int(done["objectCount"]) == len(lines)
    roots = {line["id"] for line in lines if "__parentId" not in line}
    assert roots == {node["id"] for node in nodes}
    assert int(done["rootObjectCount"]) == len(roots)
