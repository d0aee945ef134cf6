"""The streams: what is read of a store, each with its own cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xeno_pipeline.errors import UsageError
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.tables import RawTable
from xeno_pipeline.shopify.pagination import PagedQuery
from xeno_pipeline.shopify.queries import selection_version
from xeno_pipeline.tenants.registry import Tenant

SHOP = "shop"
"""The stream of the one object that is no list: the shop itself."""

CARTS = "carts"
"""What webhooks bring and no sync can read."""


_IDS_AT_FIRST = 100


@dataclass(frozen=True)
class Stream:
    """One kind of object with all that hangs on it.

    Args:
        name: as in `xeno sync --stream NAME`.
        kind: what Shopify calls one of them.
        root: the raw table of the object; its children's tables hang below it.
        bulk: the operation that reads all of them in bulk.
        ids: the operation that reads the ids of all of them in bulk.
        count: the operation that counts them.
        pages: how they are read in pages.
        absence_means_deleted: whether a complete read that lacks one says that it was deleted.
        visible_for: how far back a token without `read_all_orders` sees.
        created_filter: what the list of them calls the filter by their creation.
        scopes: the access scopes without which they cannot be read with all that hangs on them.
        has_protected_data: whether they hold protected customer data, for which the app needs Shopify's approval.
    """

    name: str
    kind: str
    root: RawTable
    bulk: str
    ids: str
    count: str
    pages: PagedQuery
    absence_means_deleted: bool = True
    visible_for: timedelta | None = None
    created_filter: str = "created_at"
    scopes: tuple[str, ...] = ("read_orders", "read_customers", "read_products")
    has_protected_data: bool = True

    @property
    def id_pages(self) -> PagedQuery:
        """How the ids of all of them are read in pages."""
        return PagedQuery(f"{self.ids}Page", self.pages.by_id, self.pages.connection, "ID", first=_IDS_AT_FIRST)

    @property
    def query_version(self) -> int:
        """What selection the rows of this stream are read with."""
        return selection_version(self.bulk)

    def visible_since(self, tenant: Tenant, read_at: datetime) -> datetime | None:
        """From when on the tenant's token saw what was created, when it read at an instant; None where it saw all."""
        return None if self.visible_for is None or tenant.sees_all_orders else read_at - self.visible_for

    def differs(self, at_shopify: int, in_raw: int) -> bool:
        """Whether counts say that something is amiss; of what Shopify forgets by and by, raw has more."""
        return at_shopify != in_raw if self.absence_means_deleted else at_shopify > in_raw


STREAMS: tuple[Stream, ...] = (
    Stream(
        name="products",
        kind="Product",
        root=raw.PRODUCTS,
        bulk="ProductsBulk",
        ids="ProductsIds",
        count="ProductsCount",
        pages=PagedQuery("ProductsPage", "ProductsById", "products", "UPDATED_AT", first=20),
        scopes=("read_products",),
        has_protected_data=False,
    ),
    Stream(
        name="customers",
        kind="Customer",
        root=raw.CUSTOMERS,
        bulk="CustomersBulk",
        ids="CustomersIds",
        count="CustomersCount",
        pages=PagedQuery("CustomersPage", "CustomersById", "customers", "UPDATED_AT", first=50),
        created_filter="customer_date",
        scopes=("read_customers",),
    ),
    Stream(
        name="orders",
        kind="Order",
        root=raw.ORDERS,
        bulk="OrdersBulk",
        ids="OrdersIds",
        count="OrdersCount",
        pages=PagedQuery("OrdersPage", "OrdersById", "orders", "UPDATED_AT", first=5),
        visible_for=timedelta(days=60),
    ),
    Stream(
        name="abandoned_checkouts",
        kind="AbandonedCheckout",
        root=raw.ABANDONED_CHECKOUTS,
        bulk="AbandonedCheckoutsBulk",
        ids="AbandonedCheckoutsIds",
        count="AbandonedCheckoutsCount",
        pages=PagedQuery("AbandonedCheckoutsPage", "AbandonedCheckoutsById", "abandonedCheckouts", "ID", first=20),
        absence_means_deleted=False,  # Shopify forgets checkouts after three months
    ),
)

STREAM_NAMES = (SHOP, *(stream.name for stream in STREAMS))


def check_streams(names: Sequence[str]) -> tuple[str, ...]:
    """The names, in the order in which streams are read; all of them where none are given.

    Raises:
        UsageError: a name is no stream's.
    """
    unknown = sorted(set(names) - set(STREAM_NAMES))
    if unknown:
        raise UsageError(f"There is no stream {unknown[0]!r}; there are {', '.join(STREAM_NAMES)}.")
    return tuple(name for name in STREAM_NAMES if not names or name in names)
