"""Abandoned checkouts, and how many of them were recovered."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, fetch_all
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Row, Where, read_page
from xeno_pipeline.insights.periods import check_days


class Checkout(Model):
    """An abandoned checkout."""

    checkout_id: int
    customer_id: int | None
    email: str | None = Field(description="Null without the scope `people`.")
    abandoned_at: datetime
    abandoned_on: date
    line_count: int
    value: Amount | None
    is_recovered: bool
    recovered_order_id: int | None


class Recovery(Model):
    """What became of the checkouts that were abandoned in some days."""

    checkouts: int
    value: Amount
    recovered: int
    recovered_value: Amount
    recovery_rate: Amount | None = Field(description="Null without checkouts.")


class RecoveryDay(Recovery):
    """What became of the checkouts that were abandoned on a day."""

    date_day: date


CHECKOUTS = Listing(
    name="checkouts",
    source="intermediate.int_checkouts",  # as that of CUSTOMERS
    key="checkout_id",
    key_type="bigint",
    sorts={"abandoned_on": "date"},
    default="-abandoned_on",
)


def list_checkouts(
    connection: Connection,
    tenant_id: str,
    *,
    first: date | None = None,
    last: date | None = None,
    is_recovered: bool | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Checkout]:
    """Checkouts that were abandoned between two days, a page at a time, the latest first.

    Raises:
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    check_days(first, last)
    where = Where()
    where.add_if_given("abandoned_on >= %(first)s", first=first)
    where.add_if_given("abandoned_on <= %(last)s", last=last)
    where.add_if_given("is_recovered = %(is_recovered)s", is_recovered=is_recovered)

    def make(rows: list[Row]) -> list[Checkout]:
        return _checkouts(connection, tenant_id, [row["checkout_id"] for row in rows])

    return read_page(connection, CHECKOUTS, tenant_id, make, where, cursor=cursor, limit=limit)


def recovery(connection: Connection, tenant_id: str, first: date | None = None, last: date | None = None) -> Recovery:
    """What became of the checkouts that were abandoned between two days, of the mart `checkout_recovery_daily`."""
    check_days(first, last)
    query = """
        select
            coalesce(sum(checkouts), 0)::bigint as checkouts,
            coalesce(sum(value), 0)::numeric(20, 4) as value,
            coalesce(sum(recovered), 0)::bigint as recovered,
            coalesce(sum(recovered_value), 0)::numeric(20, 4) as recovered_value,
            (sum(recovered) / nullif(sum(checkouts), 0))::numeric(20, 6) as recovery_rate
        from checkout_recovery_daily
        where tenant_id = %(tenant_id)s
        and (%(first)s::date is null or date_day >= %(first)s) and (%(last)s::date is null or date_day <= %(last)s)
        """
    return fetch_all(connection, Recovery, query, {"tenant_id": tenant_id, "first": first, "last": last})[0]


def recovery_by_day(connection: Connection, tenant_id: str, first: date, last: date) -> list[RecoveryDay]:
    """What became of the checkouts that were abandoned between two days, by day, of `checkout_recovery_daily`."""
    query = f"""
        select {RecoveryDay.columns()} from checkout_recovery_daily
        where tenant_id = %(tenant_id)s and date_day between %(first)s and %(last)s order by date_day
        """
    return fetch_all(connection, RecoveryDay, query, {"tenant_id": tenant_id, "first": first, "last": last})


def _checkouts(connection: Connection, tenant_id: str, checkout_ids: list[int]) -> list[Checkout]:
    """The checkouts of those ids, in that order, with as much of them as the session sees."""
    query = f"""
        select {Checkout.columns()} from abandoned_checkouts
        where tenant_id = %(tenant_id)s and checkout_id = any(%(ids)s)
        """
    found = fetch_all(connection, Checkout, query, {"tenant_id": tenant_id, "ids": checkout_ids})
    checkouts = {checkout.checkout_id: checkout for checkout in found}
    return [checkouts[number] for number in checkout_ids if number in checkouts]
