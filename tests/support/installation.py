"""A database, its keys and a spool: what tests connect stores to, sync into, and look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopify_sandbox.control import StoreControl
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.report import StreamFailure, StreamReport
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.onboarding import connect_store
from xeno_pipeline.tenants.registry import Tenant

Rows = dict[str, dict[Any, Any]]
"""By table and id, what is of interest in each row."""


@dataclass(frozen=True)
class Shop:
    """One store of a sandbox."""

    sandbox: SandboxProcess
    handle: str

    @property
    def api_url(self) -> str:
        return f"{self.sandbox.url}/{self.handle}"

    @property
    def control(self) -> StoreControl:
        return self.sandbox.control.store(self.handle)


@dataclass(frozen=True)
class Installation:
    """What one machine has of this package's state."""

    database: Database
    ring: KeyRing
    spool: Path

    def connect(self, shop: Shop, token: str = DEFAULT_TOKEN) -> Tenant:
        """Register a store of a sandbox."""
        return connect_store(self.database, self.ring, handle=shop.handle, api_url=shop.api_url, token=token)

    def try_sync(self, tenant: Tenant, *streams: str, **how: Any) -> dict[str, StreamReport | StreamFailure]:
        """Sync streams of a tenant (all by default), and say what came of each."""
        syncer = Syncer(self.database, self.ring, self.spool)
        return {result.stream: result for result in syncer.sync_tenant(tenant, SyncRequest(streams, **how))}

    def sync(self, tenant: Tenant, *streams: str, **how: Any) -> dict[str, StreamReport]:
        """Sync streams of a tenant; what fails is raised."""
        reports: dict[str, StreamReport] = {}
        for stream, result in self.try_sync(tenant, *streams, **how).items():
            if isinstance(result, StreamFailure):
                raise result.error
            reports[stream] = result
        return reports

    def settle(self) -> None:
        """As if every sync had begun a minute later: no change is in the same second as one that it read."""
        self.execute("update ops.sync_state set asked_at = asked_at + interval '1 minute'")

    def error_of(self, tenant: Tenant, stream: str, **how: Any) -> Exception:
        """Why the sync of a stream, which is to fail, failed."""
        result = self.try_sync(tenant, stream, **how)[stream]
        assert isinstance(result, StreamFailure), "the sync was to fail"
        return result.error

    def tenants(self) -> list[Tenant]:
        """All tenants."""
        with self.database.connect() as connection:
            return registry.list_all(connection)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.database.connect() as connection:
            return connection.execute(statement, values).fetchall()

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement."""
        with self.database.connect() as connection:
            connection.execute(statement, values)

    def value(self, statement: str, *values: Any) -> Any:
        """The one value of a query."""
        ((value,),) = self.query(statement, *values)
        return value

    def raw(self) -> Rows:
        """Every row of raw, whole but for when it was read or loaded."""
        return self._rows("to_jsonb(t) - 'loaded_at' - case when 'shops' = %s then 'updated_at' else '' end")

    def row_versions(self) -> Rows:
        """The transaction that last wrote each row of raw: it changes with every write, even of the same values."""
        return self._rows("xmin::text || '/' || ctid::text || left(%s, 0)")

    def _rows(self, expression: str) -> Rows:
        """Every row of raw in the form of an expression, to which the table's name is bound."""
        return {
            table.name: {
                (tenant, id_): row
                for tenant, id_, row in self.query(
                    f"select tenant_id, id, {expression} from raw.{table.name} t", table.name
                )
            }
            for table in RAW_TABLES
        }


def changed(before: Rows, after: Rows) -> dict[str, set[Any]]:
    """The ids of the rows that are in one and not, or not the same, in the other, by table; only tables with any."""
    differing = {
        table: {
            key[1]
            for key in before[table].keys() | after[table].keys()
            if _of(before, table, key) != _of(after, table, key)
        }
        for table in before
    }
    return {table: ids for table, ids in differing.items() if ids}


def _of(rows: Mapping[str, Mapping[Any, Any]], table: str, key: Any) -> Any:
    return rows[table].get(key)
