"""The raw tables: one per Shopify object, child objects included. The migrations create what is listed here.

Every table has besides the listed columns `tenant_id` and `id` (its key), `query_version` (what selection read
the row), `loaded_at` and `payload`, the node as it was selected without its children, and of orders and theirs without
what the columns say (`raw.mapping.fields.remainder`). Root tables also have
`updated_at`, Shopify's own, and `deleted_at`, set when the object was deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PiiColumns:
    """The personal data in a root table's rows, which a redaction empties.

    Everything that somebody may have typed counts, tags and discount codes too. What was sold, when, for how much and
    to which country does not, nor do ids and tokens, which join rows.

    Args:
        columns: typed columns; all are nullable.
        fields: the payload's fields behind those columns, and further ones.
        owner: the column with the customer's id; None if the table has no personal data.
    """

    columns: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    owner: str | None = None


NO_PII = PiiColumns()


@dataclass(frozen=True)
class RawTable:
    """One table of schema `raw`.

    Args:
        name: its name.
        columns: its own typed columns, in the order in which rows give them.
        parent: the table that its rows belong to; None for a root.
        parent_column: the column that holds the parent's id.
        pii: its columns and fields with personal data; every table declares them, be it none.
    """

    name: str
    columns: tuple[str, ...]
    parent: RawTable | None = None
    parent_column: str | None = None
    pii: PiiColumns = field(kw_only=True)

    @property
    def copied_columns(self) -> tuple[str, ...]:
        """The columns a row gives, in order."""
        own = ("updated_at", *self.columns) if self.parent is None else self.columns
        return ("tenant_id", "id", *own, "query_version", "payload")


def _child(parent: RawTable, name: str, parent_column: str, *columns: str) -> RawTable:
    """A table of children. Personal data is in their root."""
    return RawTable(name, (parent_column, *columns), parent, parent_column, pii=NO_PII)


SHOPS = RawTable(
    "shops",
    ("name", "myshopify_domain", "currency", "iana_timezone", "plan", "access_scopes", "created_at"),
    pii=NO_PII,
)
CUSTOMERS = RawTable(
    "customers",
    (
        *("created_at", "email", "phone", "first_name", "last_name", "country_code", "locale", "state"),
        *("tags", "number_of_orders", "rfm_group"),
    ),
    pii=PiiColumns(
        columns=("email", "phone", "first_name", "last_name", "country_code", "locale", "state", "tags"),
        fields=(
            *("defaultEmailAddress", "defaultPhoneNumber", "firstName", "lastName", "defaultAddress"),
            *("locale", "state", "tags"),
        ),
        owner="id",
    ),
)
ORDERS = RawTable(
    "orders",
    (
        *("name", "customer_id", "created_at", "processed_at", "cancelled_at", "cancel_reason", "is_test"),
        *("currency", "presentment_currency", "financial_status", "fulfillment_status", "source_name"),
        *("country_code", "tags", "discount_codes", "checkout_token", "cart_token"),
        *("total_price", "current_total_price"),
    ),
    pii=PiiColumns(columns=("tags", "discount_codes"), fields=("tags", "discountCodes"), owner="customer_id"),
)
ORDER_LINE_ITEMS = _child(
    ORDERS,
    "order_line_items",
    "order_id",
    *("product_id", "variant_id", "sku", "title", "quantity", "current_quantity", "unit_price", "is_gift_card"),
)
ORDER_AGREEMENTS = _child(ORDERS, "order_agreements", "order_id", "reason", "happened_at", "refund_id")
ORDER_SALES = _child(
    ORDER_AGREEMENTS,
    "order_sales",
    "agreement_id",
    *("line_item_id", "action_type", "line_type", "quantity", "total_amount", "discount_amount", "tax_amount"),
)
REFUNDS = _child(ORDERS, "refunds", "order_id", "created_at", "processed_at", "total_refunded")
ORDER_TRANSACTIONS = _child(
    ORDERS,
    "order_transactions",
    "order_id",
    *("parent_transaction_id", "kind", "status", "gateway", "is_test", "created_at", "processed_at", "amount"),
)
FULFILLMENTS = _child(
    ORDERS,
    "fulfillments",
    "order_id",
    *("status", "display_status", "created_at", "updated_at", "delivered_at", "total_quantity"),
)
PRODUCTS = RawTable(
    "products",
    ("title", "handle", "vendor", "product_type", "status", "tags", "created_at", "published_at"),
    pii=NO_PII,
)
PRODUCT_VARIANTS = _child(
    PRODUCTS,
    "product_variants",
    "product_id",
    *("title", "sku", "barcode", "position", "price", "compare_at_price", "created_at", "updated_at"),
)
ABANDONED_CHECKOUTS = RawTable(
    "abandoned_checkouts",
    ("name", "customer_id", "created_at", "completed_at", "token", "discount_codes", "total_price"),
    pii=PiiColumns(columns=("discount_codes",), fields=("discountCodes",), owner="customer_id"),
)
ABANDONED_CHECKOUT_LINE_ITEMS = _child(
    ABANDONED_CHECKOUTS,
    "abandoned_checkout_line_items",
    "checkout_id",
    *("product_id", "variant_id", "sku", "title", "quantity", "total_price"),
)
CARTS = RawTable("carts", ("cart_id", "created_at"), pii=NO_PII)
"""The only root table that no query reads: its rows come from webhooks, of which no personal data is kept."""

RAW_TABLES: tuple[RawTable, ...] = (
    SHOPS,
    CUSTOMERS,
    ORDERS,
    ORDER_LINE_ITEMS,
    ORDER_AGREEMENTS,
    ORDER_SALES,
    REFUNDS,
    ORDER_TRANSACTIONS,
    FULFILLMENTS,
    PRODUCTS,
    PRODUCT_VARIANTS,
    ABANDONED_CHECKOUTS,
    ABANDONED_CHECKOUT_LINE_ITEMS,
    CARTS,
)

KINDS: dict[str, str] = {
    SHOPS.name: "Shop",
    CUSTOMERS.name: "Customer",
    ORDERS.name: "Order",
    PRODUCTS.name: "Product",
    ABANDONED_CHECKOUTS.name: "AbandonedCheckout",
    CARTS.name: "Cart",
}
"""What Shopify calls the objects of each root table."""


def tree(root: RawTable) -> tuple[RawTable, ...]:
    """A root table and all below it, each parent before its children."""
    return tuple(table for table in RAW_TABLES if root in _ancestry(table))


def _ancestry(table: RawTable) -> tuple[RawTable, ...]:
    return (table, *(_ancestry(table.parent) if table.parent else ()))
