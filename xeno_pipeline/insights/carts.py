"""Carts of the online store."""

from __future__ import annotations

from datetime import datetime

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, as_answers
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Where, read_page


class Cart(Model):
    """A cart."""

    cart_id: str
    first_seen_at: datetime | None
    updated_at: datetime | None
    line_count: int
    units: int
    value: Amount | None
    is_abandoned: bool
    abandoned_at: datetime | None


CARTS = Listing(
    name="carts",
    source="abandoned_carts",
    columns=tuple(Cart.model_fields),
    key="cart_id",
    key_type="text",
    sorts={"updated_at": "timestamptz"},
    default="-updated_at",
)


def list_carts(
    connection: Connection,
    tenant_id: str,
    *,
    is_abandoned: bool | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Cart]:
    """Carts, a page at a time, those that changed last first.

    Raises:
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    where = Where()
    where.add_if_given("is_abandoned = %(is_abandoned)s", is_abandoned=is_abandoned)
    return read_page(connection, CARTS, tenant_id, as_answers(Cart), where, cursor=cursor, limit=limit)
