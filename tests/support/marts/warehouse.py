"""A database with marts, as tests of them use it: tenants, raw rows, transforms, and every row of every mart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from xeno_pipeline.database.connection import Database
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.scope import open_scope
from xeno_pipeline.marts.transform import TransformReport, TransformRequest, transform
from xeno_pipeline.raw.completeness import Completeness
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.tables import RawTable

HISTORY = ("rfm_history", "rfm_migrations", "segment_history", "segment_members", "segments")
"""What records what was observed, and so depends on when it was."""

Marts = dict[str, Counter[str]]
"""Every row of every relation, as text."""


@dataclass(frozen=True)
class Warehouse:
    """A database whose marts are made."""

    database: Database
    project: DbtProject

    def register(self, tenants: Iterable[tuple[str, str, str]]) -> None:
        """Tenants by handle, time zone and currency, without a store behind them."""
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                """
                insert into ops.tenants
                    (tenant_id, shop_gid, shop_domain, api_url, name, currency, iana_timezone, plan, access_scopes)
                values (%(handle)s, %(handle)s, %(handle)s, '', %(handle)s, %(currency)s, %(zone)s, 'Basic', '{}')
                """,
                [{"handle": handle, "zone": zone, "currency": currency} for handle, zone, currency in tenants],
            )

    def move(self, handle: str, timezone: str) -> None:
        """Give a shop another time zone."""
        self.execute("update ops.tenants set iana_timezone = %s where tenant_id = %s", timezone, handle)

    def load(self, handle: str, root: RawTable, nodes: Iterable[dict[str, Any]]) -> None:
        """Load everything that the store has of a kind; what it no longer has is marked as deleted."""
        with self.database.connect() as connection:
            load = Load(handle, root, datetime.now(UTC), Completeness(accept=True))
            load.run(connection, RowMapping(root, handle, 1).of_objects(list(nodes)))

    def transform(self, *tenant_ids: str, **how: Any) -> TransformReport:
        """Bring the marts of tenants (all of them by default) up to date; all of it must succeed."""
        report = self.try_transform(*tenant_ids, **how)
        assert report.failures == {}, report.failures
        return report

    def try_transform(self, *tenant_ids: str, **how: Any) -> TransformReport:
        """Bring the marts of tenants (all of them by default) up to date, where that can be done."""
        return transform(self.database, self.project, TransformRequest(tenant_ids or self.tenants(), **how))

    def interrupted_transform(self, *models: str, as_of: date) -> None:
        """Make some models of all tenants, as a transform does that then dies."""
        with open_scope(self.database, self.tenants(), as_of=as_of, project_version=self.project.version) as scope:
            nodes = self.project.invoke(["run", "--select", *models], transform_id=scope.transform_id)
        assert not [node for node in nodes if node.failed]

    def tenants(self) -> Sequence[str]:
        return [handle for (handle,) in self.query("select tenant_id from ops.tenants order by 1")]

    def rebuild(self, as_of: date | None = None, *, refit: bool = False) -> None:
        """Make all marts from nothing, as of a day, or of the day that each tenant's are of."""
        days = dict(self.query("select tenant_id, as_of_date from ops.tenant_marts"))
        tenants: dict[date, list[str]] = defaultdict(list)
        for handle in self.tenants():
            tenants[as_of or days[handle]].append(handle)
        for schema, name, kind in self._relations():
            if kind == "BASE TABLE" and name not in HISTORY:
                self.execute(f"truncate {schema}.{name}")
        for day, handles in tenants.items():
            self.transform(*handles, as_of=day, rebuild=True, refit=refit)

    def marts(self) -> Marts:
        """Every row of every mart, and of every table under the marts, history apart; whatever order columns have."""
        return {
            f"{schema}.{name}": Counter(
                row
                for (row,) in self.query(
                    f"select to_jsonb(mart)::text from {schema}.{name} mart"
                    + (" where event_type <> 'segment_change'" if name == "customer_timeline" else "")
                )
            )
            for schema, name, _ in self._relations()
            if name not in HISTORY
        }

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.database.connect() as connection:
            return connection.execute(statement, values).fetchall()

    def value(self, statement: str, *values: Any) -> Any:
        """The one value of a query."""
        ((value,),) = self.query(statement, *values)
        return value

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement."""
        with self.database.connect() as connection:
            connection.execute(statement, values)

    def _relations(self) -> list[tuple[str, str, str]]:
        return self.query(
            """
            select table_schema, table_name, table_type from information_schema.tables
            where table_schema = 'marts' or table_schema = 'intermediate' and table_type = 'BASE TABLE'
            order by 1, 2
            """
        )


def dates_out_of_bounds(warehouse: Warehouse) -> list[str]:
    """The columns of tables and marts with a date or instant before 1990, or more than a year and a day ahead."""
    columns = warehouse.query(
        """
        select table_schema || '.' || table_name, column_name
        from information_schema.columns join information_schema.tables using (table_schema, table_name)
        where (table_schema = 'marts' or table_schema = 'intermediate' and table_type = 'BASE TABLE')
        and data_type in ('date', 'timestamp with time zone') order by 1, 2
        """
    )
    assert len(columns) > 40
    return [
        f"{relation}.{column}"
        for relation, column in columns
        if warehouse.value(
            f"select exists (select from {relation} "
            f"where {column} < '1989-12-31' or {column} > now() + interval '1 year 1 day')"
        )
    ]


def differences(one: Marts, other: Marts) -> dict[str, tuple[list[str], list[str]]]:
    """By relation, the rows that only the one and only the other has; no relation where they agree."""
    assert one.keys() == other.keys()
    found = {name: (sorted(one[name] - other[name]), sorted(other[name] - one[name])) for name in one}
    return {name: rows for name, rows in found.items() if rows != ([], [])}
