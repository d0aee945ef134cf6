"""Redacting a customer in raw: personal data is emptied, and the customer is suppressed in later loads.

Rows stay, with the customer's id, so that no count and no sum changes. The change is recorded for the next transform,
which updates the marts.
"""

from __future__ import annotations

from collections.abc import Collection

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.changes import ids_of, mark_changed
from xeno_pipeline.raw.load import lock
from xeno_pipeline.raw.merge import redact
from xeno_pipeline.raw.suppression import suppress
from xeno_pipeline.raw.tables import RAW_TABLES, RawTable

PII_TABLES = tuple(table for table in RAW_TABLES if table.pii.owner)
"""The tables with personal data."""


def redact_customer(connection: Connection, tenant_id: str, customer_id: int, order_ids: Collection[int] = ()) -> int:
    """Empty a customer's personal data in raw, and suppress the customer, in the connection's current transaction.

    Args:
        order_ids: orders of the customer besides those that name it.

    Returns:
        How many rows were emptied.
    """
    for table in sorted(PII_TABLES, key=lambda table: table.name):  # always in the same order, to prevent deadlocks
        lock(connection, tenant_id, table)
    orders = connection.execute(
        "select id from raw.orders where tenant_id = %s and customer_id = %s", [tenant_id, customer_id]
    )
    # Listed one by one: a merge may give them to another customer.
    suppressed = {raw.CUSTOMERS: {customer_id}, raw.ORDERS: {*order_ids, *(id_ for (id_,) in orders)}}
    for table, ids in suppressed.items():
        suppress(connection, tenant_id, table, ids)
    return sum(_redact(connection, table, tenant_id, customer_id, suppressed.get(table, ())) for table in PII_TABLES)


def _redact(connection: Connection, table: RawTable, tenant_id: str, customer_id: int, ids: Collection[int]) -> int:
    bound = {"tenant": tenant_id, "customer": customer_id, "ids": list(ids)}
    rows = connection.execute(redact(table), bound).fetchall()
    if rows:
        mark_changed(connection, tenant_id, table, ids_of(rows))
    return len(rows)
