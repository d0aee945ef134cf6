"""Exports of a customer's data: one JSON file for the merchant, readable by its owner only."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.privacy.requests import PrivacyRequest
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.redaction import PII_TABLES
from xeno_pipeline.raw.tables import RawTable, tree
from xeno_pipeline.shopify.ids import gid

Rows = list[dict[str, Any]]


def customer_rows(connection: Connection, request: PrivacyRequest) -> dict[str, Rows]:
    """Every raw row of a request's customer, by table; empty tables are left out.

    These are the customer, their orders (and those that the request names) and checkouts with all children, and the
    carts that became one of the orders.
    """
    held: dict[str, Rows] = {}
    for root in PII_TABLES:
        ids = list(request.order_ids) if root is raw.ORDERS else []
        condition = f"({root.pii.owner} = %(customer)s or id = any(%(ids)s))"
        bound = {"tenant": request.tenant_id, "customer": request.customer_id, "ids": ids}
        for table in tree(root):
            held[table.name] = _rows(connection, table, _below(table, condition), bound)
    tokens = [order["cart_token"] for order in held[raw.ORDERS.name] if order["cart_token"]]
    bound = {"tenant": request.tenant_id, "tokens": tokens}
    held[raw.CARTS.name] = _rows(connection, raw.CARTS, "cart_id = any(%(tokens)s)", bound)
    return {name: rows for name, rows in held.items() if rows}


def document(request: PrivacyRequest, held: dict[str, Rows]) -> bytes:
    """What is handed on for a data request, as JSON.

    Args:
        held: see `customer_rows`.
    """
    assert request.customer_id is not None
    content = {
        "tenant": request.tenant_id,
        "request": request.id,
        "customer": gid("Customer", request.customer_id),
        "exported_at": datetime.now(UTC),
        "held": held,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def write_export(folder: Path, request: PrivacyRequest, held: dict[str, Rows]) -> str:
    """Write the file of a data request atomically; returns its path relative to the folder.

    Args:
        held: see `customer_rows`.
    """
    name = f"{request.tenant_id}/data-request-{request.id}.json"
    path = folder / name
    for part in (folder, path.parent):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(document(request, held))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return name


def delete_export(folder: Path, request: PrivacyRequest) -> None:
    """Delete the file of a request, if it exists."""
    if request.export_file is not None:
        (folder / request.export_file).unlink(missing_ok=True)


def delete_exports(folder: Path, tenant_id: str) -> None:
    """Delete all files of a tenant."""
    shutil.rmtree(folder / tenant_id, ignore_errors=True)


def _below(table: RawTable, condition: str) -> str:
    """The condition for rows of a table whose root row meets a condition."""
    if table.parent is None:
        return condition
    parents = (
        f"select id from raw.{table.parent.name} where tenant_id = %(tenant)s and {_below(table.parent, condition)}"
    )
    return f"{table.parent_column} in ({parents})"


def _rows(connection: Connection, table: RawTable, condition: str, bound: dict[str, Any]) -> Rows:
    query = f"select to_jsonb(t) from raw.{table.name} t where tenant_id = %(tenant)s and {condition} order by id"
    return [row for (row,) in connection.execute(query, bound)]
