"""What happened in a customer's life, latest first."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, as_answers
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Where, read_page


class TimelineEvent(Model):
    """Something that happened."""

    occurred_at: datetime
    event_id: str = Field(description="The kind and the id of what it happened to: `order/1001`.")
    event_type: str
    title: str | None
    amount: Amount | None


EVENTS = Listing(
    name="timeline",
    source="customer_timeline",
    columns=tuple(TimelineEvent.model_fields),
    key="event_id",
    key_type="text",
    sorts={"occurred_at": "timestamptz"},
    default="-occurred_at",
)


def timeline(
    connection: Connection, tenant_id: str, customer_id: int, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[TimelineEvent]:
    """What happened, a page at a time.

    Raises:
        UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    where = Where()
    where.add("customer_id = %(customer_id)s", customer_id=customer_id)
    return read_page(connection, EVENTS, tenant_id, as_answers(TimelineEvent), where, cursor=cursor, limit=limit)
