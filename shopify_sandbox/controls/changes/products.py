"""Products created, changed, deleted."""

from __future__ import annotations

from typing import Any

from shopify_sandbox.controls.changes.subject import Options, Touched, chosen, known, price_of, set_fields
from shopify_sandbox.generator.catalog import slug
from shopify_sandbox.model.objects import Product, Variant
from shopify_sandbox.state.store import Store

_STATES = ("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED")


def create_product(
    store: Store, *, title: str | None = None, price: str = "10", sku: str | None = None, **fields: Any
) -> Touched:
    """A new product of one variant, with the fields of `update_product` besides."""
    number, now = store.new_id("Product"), store.now()
    named = title or f"New product {number}"
    variant = Variant(
        store.new_variant_id(), "Default Title", sku or f"NEW-{number}", None, price_of(price), None, now, now
    )
    store.save("Product", Product(number, named, slug(named, number), "Acme", "", now, now, now, variants=[variant]))
    return update_product(store, number, **fields)


def update_product(
    store: Store,
    product_id: int | None = None,
    *,
    title: str | None = None,
    vendor: str | None = None,
    product_type: str | None = None,
    status: str | None = None,
    tags: list[str] | None = None,
    price: str | None = None,
) -> Touched:
    """Change these fields of a product; `price` is of its first variant."""
    product: Product = chosen(store, "Product", product_id)
    given: Options = {"title": title, "vendor": vendor, "product_type": product_type, "tags": tags}
    set_fields(product, given | {"status": status and known(status, _STATES)})
    product.updated_at = store.now()
    if price is not None:
        product.variants[0].price = price_of(price)
        product.variants[0].updated_at = store.now()
    store.save("Product", product)
    return {"products": [product.id]}


def delete_product(store: Store, product_id: int | None = None) -> Touched:
    """Delete a product; lines of orders keep its title and lose the reference."""
    product: Product = chosen(store, "Product", product_id)
    store.delete_product(product)
    return {"products": [product.id]}
