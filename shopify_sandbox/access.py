"""Which scope each field needs."""

from __future__ import annotations

from collections.abc import Collection

from shopify_sandbox.errors import access_denied

FIELD_SCOPES = {
    ("QueryRoot", "orders"): "read_orders",
    ("QueryRoot", "ordersCount"): "read_orders",
    ("QueryRoot", "order"): "read_orders",
    ("QueryRoot", "abandonedCheckouts"): "read_orders",
    ("QueryRoot", "abandonedCheckoutsCount"): "read_orders",
    ("QueryRoot", "customers"): "read_customers",
    ("QueryRoot", "customersCount"): "read_customers",
    ("QueryRoot", "customerSegmentMembers"): "read_customers",
    ("QueryRoot", "products"): "read_products",
    ("QueryRoot", "productsCount"): "read_products",
    ("QueryRoot", "product"): "read_products",
    ("Order", "customer"): "read_customers",
    ("AbandonedCheckout", "customer"): "read_customers",
    ("LineItem", "product"): "read_products",
    ("LineItem", "variant"): "read_products",
    ("AbandonedCheckoutLineItem", "product"): "read_products",
    ("AbandonedCheckoutLineItem", "variant"): "read_products",
}
KIND_SCOPES = {
    "Order": "read_orders",
    "AbandonedCheckout": "read_orders",
    "Customer": "read_customers",
    "Product": "read_products",
    "ProductVariant": "read_products",
}


def check(owner: str, field: str, scopes: Collection[str]) -> None:
    """Refuse a field whose scope is missing.

    Raises:
        ApiError: As the field answers then.
    """
    needed = FIELD_SCOPES.get((owner, field))
    if needed is not None and needed not in scopes:
        raise access_denied(field, needed)
