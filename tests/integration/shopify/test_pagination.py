"""Pages of a sandbox store bring what its bulk operations bring."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shopify_sandbox.control import StoreControl
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.pagination import PagedQuery, Pager
from xeno_pipeline.shopify.queries import bulk_query

CHECKOUTS = PagedQuery("AbandonedCheckoutsPage", "AbandonedCheckoutsById", "abandonedCheckouts", "ID", first=2)
ORDERS = PagedQuery("OrdersPage", "OrdersById", "orders", "UPDATED_AT", first=5)
PRODUCTS = PagedQuery("ProductsPage", "ProductsById", "products", "UPDATED_AT", first=20)
Store = Callable[[str], tuple[ShopifyClient, StoreControl]]


def _number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def test_an_order_comes_with_all_its_lines_agreements_and_sales(store: Store) -> None:
    client, control = store("lively")
    pager = Pager(client, PRODUCTS)
    products = [node for page in pager.changes(datetime(2000, 1, 1, tzinfo=UTC)) for node in page.nodes]
    variants = [_number(variant["id"]) for product in products for variant in product["variants"]]
    lines = [{"variant_id": variants[n % len(variants)], "quantity": 1} for n in range(130)]
    (placed,) = control.place_order(lines=lines)["orders"]
    for _ in range(11):
        control.edit_order(placed, add={"variant_id": variants[0], "quantity": 1})
    gid = f"gid://shopify/Order/{placed}"
    ((whole,),) = Pager(client, ORDERS).by_id([gid])
    assert len(whole["lineItems"]) >= 130
    assert len(whole["agreements"]) == 12
    assert len(whole["agreements"][0]["sales"]) >= 130
    operations = control.stats()["operations"]
    assert operations["AgreementSales"] >= 2
    assert {"OrderLineItems", "OrderAgreements"} <= set(operations)
    assert flattened([whole]) == {line for line in bulk_lines(client, "OrdersBulk") if line[0] == gid}


@pytest.mark.parametrize(
    ("query", "bulk"), [(ORDERS, "OrdersBulk"), (PRODUCTS, "ProductsBulk"), (CHECKOUTS, "AbandonedCheckoutsBulk")]
)
def test_pages_bring_what_bulk_brings(query: PagedQuery, bulk: str, store: Store) -> None:
    client, _ = store("steady")
    pages = Pager(client, query).changes(datetime(2000, 1, 1, tzinfo=UTC))
    assert flattened([node for page in pages for node in page.nodes]) == bulk_lines(client, bulk)


def flattened(nodes: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(root's id, own id) of each object and its children."""
    pairs: set[tuple[str, str]] = set()

    def add(node: dict[str, Any], root: str) -> None:
        pairs.add((root, node["id"]))
        for field in ("lineItems", "agreements", "sales", "variants"):
            for child in node.get(field, []):
                add(child, root)

    for node in nodes:
        add(node, node["id"])
    return pairs


def bulk_lines(client: ShopifyClient, name: str) -> set[tuple[str, str]]:
    """(root's id, own id) of each line of a bulk operation's result."""
    reader, result = BulkReader(client), io.BytesIO()
    completed = reader.wait(reader.start(bulk_query(name)))
    reader.download(completed, result)
    parents = {node["id"]: node.get("__parentId") for node in reader.nodes(completed, result)}

    def root(id_: str) -> str:
        parent = parents[id_]
        return id_ if parent is None else root(parent)

    return {(root(id_), id_) for id_ in parents}
