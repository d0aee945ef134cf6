"""Stores: what there is to know about each, and how fresh its marts are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import XenoError
from xeno_pipeline.insights.model import Model, fetch_all


class NotModelledError(XenoError):
    """A store has no marts yet."""


class Store(Model):
    """A store that may be asked about."""

    store: str = Field(description="The handle: `acme` of acme.myshopify.com.")
    shop_name: str | None
    shop_domain: str | None
    currency: str | None = Field(description="Of all money; null until the marts were made.")
    iana_timezone: str | None = Field(description="The zone that days are counted in.")
    plan: str | None
    as_of_date: date | None = Field(description="The shop's day that the marts call today.")
    first_order_on: date | None
    last_order_on: date | None
    orders_loaded: int = Field(description="All orders that are known, cancelled ones included.")
    history_is_complete: bool = Field(description="Whether orders from the very beginning are here.")
    last_loaded_at: datetime | None = Field(description="When something new last came from Shopify.")
    made_at: datetime | None = Field(description="When the marts were made; null until they were.")


class StoreList(Model):
    """Several stores."""

    data: list[Store]


def list_stores(connection: Connection, tenant_ids: Sequence[str]) -> list[Store]:
    """The stores of those handles, ordered by handle; one without marts has only that."""
    query = """
        select
            asked.store, shop_name, shop_domain, tenants.currency, tenants.iana_timezone, plan, as_of_date,
            first_order_on, last_order_on, coalesce(orders_loaded, 0) as orders_loaded,
            coalesce(history_is_complete, false) as history_is_complete, last_loaded_at, transformed_at as made_at
        from unnest(%(tenant_ids)s::text[]) as asked (store)
        left join dim_tenants tenants on tenants.tenant_id = asked.store
        left join ops.tenant_marts made on made.tenant_id = tenants.tenant_id
        order by asked.store collate "C"
        """
    return fetch_all(connection, Store, query, {"tenant_ids": list(tenant_ids)})


def get_store(connection: Connection, tenant_id: str) -> Store:
    """The store of that handle."""
    return list_stores(connection, [tenant_id])[0]


def today_of(connection: Connection, tenant_id: str) -> date:
    """The shop's day that its marts call today.

    Raises:
        NotModelledError: it has no marts yet.
    """
    query = "select as_of_date from ops.tenant_marts where tenant_id = %s"
    row = connection.execute(query, [tenant_id]).fetchone()
    if row is None:
        raise NotModelledError(
            f"{tenant_id}: the store has no marts yet: wait for its first sync to end, or run `xeno sync {tenant_id}`."
        )
    day: date = row[0]
    return day
