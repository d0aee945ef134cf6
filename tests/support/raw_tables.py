"""Nodes loaded into raw for one tenant, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from tests.support.installation import Installation
from tests.support.nodes import OPENED, Node
from xeno_pipeline.raw.completeness import Completeness
from xeno_pipeline.raw.counts import TableCounts
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.tables import RawTable
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant

ALL_GONE = Completeness(accept=True)


@dataclass(frozen=True)
class Warehouse:
    """Loads nodes for one tenant, and shows what is in raw."""

    installation: Installation
    tenant_id: str = "acme"
    version: int = 1
    _minutes: Iterator[int] = field(default_factory=lambda: count(1000))

    def load(
        self,
        root: RawTable,
        *nodes: Node,
        read_at: int | None = None,
        complete: Completeness | None = None,
        version: int | None = None,
    ) -> dict[str, TableCounts]:
        """Load some nodes, read at a minute (later than all before, by default)."""
        minute = next(self._minutes) if read_at is None else read_at
        load = Load(self.tenant_id, root, OPENED + timedelta(minutes=minute), complete)
        mapping = RowMapping(root, self.tenant_id, version or self.version)
        with self.installation.database.connect() as connection:
            return load.run(connection, mapping.of_objects(deepcopy(nodes)))

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.installation.query(statement, self.tenant_id)

    def products(self) -> dict[int, tuple[str, set[int]]]:
        """Title and variants of each product, by number."""
        found = self.query(
            """
            select id, title, array(
                select v.id from raw.product_variants v where v.tenant_id = p.tenant_id and v.product_id = p.id
                and v.title = p.title
            ) from raw.products p where tenant_id = %s
            """
        )
        return {number: (title, set(variants)) for number, title, variants in found}

    def column(self, table: str, column: str) -> set[Any]:
        """The distinct values of a column."""
        return {value for (value,) in self.query(f"select {column} from raw.{table} where tenant_id = %s")}

    def gone(self) -> set[int]:
        """The numbers of the products marked as deleted."""
        return {n for (n,) in self.query("select id from raw.products where tenant_id = %s and deleted_at is not null")}

    def noted(self) -> set[int]:
        """The roots noted as changed since this was last asked."""
        return {n for (n,) in self.query("delete from ops.changes where tenant_id = %s returning object_id")}


def register(installation: Installation, handle: str) -> Warehouse:
    facts: dict[str, Any] = {
        "name": handle,
        "currency": "EUR",
        "iana_timezone": "UTC",
        "plan": "Plus",
        "access_scopes": [],
    }
    domain = f"{handle}.myshopify.com"
    with installation.database.connect() as connection:
        registry.add(connection, Tenant(handle, f"gid://shopify/Shop/{handle}", domain, f"https://{domain}", **facts))
    return Warehouse(installation, handle)


def counted(counts: Mapping[str, TableCounts]) -> tuple[int, int, int]:
    """Rows inserted, updated and deleted, all tables together."""
    every = counts.values()
    return sum(c.inserted for c in every), sum(c.updated for c in every), sum(c.deleted for c in every)
