"""What is exported: one mart of one tenant, whole or of some days, of all customers or of a saved segment's.

Relations are named without a schema: the connection's search path decides whether that is the mart itself or the view
of it that withholds personal columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from psycopg import sql

from xeno_pipeline.errors import UsageError
from xeno_pipeline.exports.contract import Column, Mart

_ZONE = sql.SQL("(select iana_timezone from dim_tenants where tenant_id = {tenant})")


class RangeError(UsageError):
    """The days asked for are no range, or the mart's rows have no date."""


class NotOfCustomersError(UsageError):
    """A segment's members were asked for of a mart that is not about single customers."""


@dataclass(frozen=True)
class Selection:
    """Rows of a mart.

    Args:
        tenant_id: whose.
        mart: which.
        since: the first day, in the shop's time zone, of the mart's date column.
        until: the last day.
        segment_id: of the saved segment whose members' rows are meant.

    Raises:
        RangeError: the mart has no date column, or the first day comes after the last.
        NotOfCustomersError: a segment is given, and the mart has no customers.
    """

    tenant_id: str
    mart: Mart
    since: date | None = None
    until: date | None = None
    segment_id: int | None = None

    def __post_init__(self) -> None:
        if (self.since or self.until) and self.mart.dated_by is None:
            raise RangeError(f"The rows of {self.mart.name} have no date: export it without a first and last day.")
        if self.since and self.until and self.since > self.until:
            raise RangeError(f"No day is from {self.since} to {self.until}: the first day comes after the last.")
        if self.segment_id is not None and not self.mart.has("customer_id"):
            raise NotOfCustomersError(
                f"{self.mart.name} has no customers, so a segment's members cannot be picked from it: export it whole."
            )

    def statement(self, render: Callable[[Column], sql.Composable]) -> sql.Composed:
        """The query, its rows in the order of the mart's key.

        Args:
            render: the expression that is selected for a column.
        """
        query = sql.SQL("select {columns} from {mart} where {conditions}").format(
            columns=sql.SQL(", ").join(map(render, self.mart.columns)),
            mart=sql.Identifier(self.mart.name),
            conditions=sql.SQL(" and ").join(self._conditions()),
        )
        if self.mart.key:
            query += sql.SQL(" order by {}").format(sql.SQL(", ").join(map(sql.Identifier, self.mart.key)))
        return query

    def _conditions(self) -> Iterator[sql.Composable]:
        tenant = sql.Literal(self.tenant_id)
        yield sql.SQL("tenant_id = {}").format(tenant)
        if self.since:
            yield sql.SQL("{} >= {}").format(self._date, self._bound(self.since, sql.SQL("0")))
        if self.until:
            yield sql.SQL("{} < {}").format(self._date, self._bound(self.until, sql.SQL("1")))
        if self.segment_id is not None:
            yield sql.SQL(
                "customer_id in (select customer_id from segment_members where tenant_id = {} and segment_id = {})"
            ).format(tenant, sql.Literal(self.segment_id))

    @property
    def _date(self) -> sql.Identifier:
        assert self.mart.dated_by is not None
        return sql.Identifier(self.mart.dated_by.name)

    def _bound(self, day: date, later: sql.SQL) -> sql.Composable:
        """The beginning of a day or of one some days later, in the type of the date column."""
        assert self.mart.dated_by is not None
        beginning = sql.SQL("{}::date + {}").format(sql.Literal(day), later)
        if self.mart.dated_by.type == "date":
            return beginning
        zone = _ZONE.format(tenant=sql.Literal(self.tenant_id))
        return sql.SQL("({})::timestamp at time zone {}").format(beginning, zone)
