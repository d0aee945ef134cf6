"""Customers, products and abandoned checkouts as a store keeps them, and as the Admin API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shopify_sandbox.model.documents import address, gid, stub
from shopify_sandbox.model.money import Document, Exchange, decimals, divide, price_units
from shopify_sandbox.model.times import iso, iso_or_none


@dataclass(slots=True)
class Customer:
    """A customer; times are seconds since 1970, UTC."""

    id: int
    created_at: int
    updated_at: int
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    marketing_state: str = "NOT_SUBSCRIBED"
    phone: str | None = None
    has_address: bool = False
    country: str | None = None
    locale: str = "en"
    state: str = "DISABLED"
    tags: list[str] = field(default_factory=list)
    rfm_group: str | None = None


@dataclass(slots=True)
class Variant:
    """A product variant; prices are in price units."""

    id: int
    title: str
    sku: str | None
    barcode: str | None
    price: int
    compare_at_price: int | None
    created_at: int
    updated_at: int


@dataclass(slots=True)
class Product:
    """A product."""

    id: int
    title: str
    handle: str
    vendor: str
    product_type: str
    created_at: int
    updated_at: int
    published_at: int | None
    status: str = "ACTIVE"
    is_gift_card: bool = False
    tags: list[str] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)


@dataclass(slots=True)
class CheckoutLine:
    """A line of an abandoned checkout; the unit price is in price units, the discount in minor units."""

    number: int
    title: str
    quantity: int
    unit_price: int
    discount: int = 0
    variant_title: str | None = None
    sku: str | None = None
    product_id: int | None = None
    variant_id: int | None = None


@dataclass(slots=True)
class Checkout:
    """An abandoned checkout; `token` is what its order carries as `checkoutToken` once it is completed."""

    id: int
    created_at: int
    updated_at: int
    token: str
    currency: str
    taxes_included: bool
    tax_rate: int
    completed_at: int | None = None
    customer_id: int | None = None
    discount_codes: list[str] = field(default_factory=list)
    lines: list[CheckoutLine] = field(default_factory=list)


def product_from_json(data: dict[str, Any]) -> Product:
    """A product as `orjson.dumps` wrote it."""
    return Product(**data | {"variants": [Variant(**variant) for variant in data["variants"]]})


def checkout_from_json(data: dict[str, Any]) -> Checkout:
    """A checkout as `orjson.dumps` wrote it."""
    return Checkout(**data | {"lines": [CheckoutLine(**line) for line in data["lines"]]})


def customer_document(customer: Customer, orders_count: int) -> Document:
    """A customer as the Admin API shows it."""
    email, phone = customer.email, customer.phone
    return {
        "__typename": "Customer",
        "id": gid("Customer", customer.id),
        "createdAt": iso(customer.created_at),
        "updatedAt": iso(customer.updated_at),
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "defaultEmailAddress": None
        if email is None
        else {
            "__typename": "CustomerEmailAddress",
            "emailAddress": email,
            "marketingState": customer.marketing_state,
        },
        "defaultPhoneNumber": None if phone is None else {"__typename": "CustomerPhoneNumber", "phoneNumber": phone},
        "defaultAddress": address(customer.country, customer.id) if customer.has_address else None,
        "locale": customer.locale,
        "state": customer.state,
        "tags": customer.tags,
        "numberOfOrders": str(orders_count),
        "statistics": {"__typename": "CustomerStatistics", "rfmGroup": customer.rfm_group},
    }


def _money(price: int, currency: str) -> str:
    """The Money scalar: as many decimals as the currency has (MoneyV2 drops trailing zeros, this does not)."""
    places = decimals(currency)
    whole, fraction = divmod(divide(price, price_units(currency)), 10**places)
    return f"{whole}.{fraction:0{places}}" if places else str(whole)


def product_document(product: Product, currency: str) -> Document:
    """A product as the Admin API shows it."""
    return {
        "__typename": "Product",
        "id": gid("Product", product.id),
        "title": product.title,
        "handle": product.handle,
        "vendor": product.vendor,
        "productType": product.product_type,
        "status": product.status,
        "tags": product.tags,
        "isGiftCard": product.is_gift_card,
        "createdAt": iso(product.created_at),
        "updatedAt": iso(product.updated_at),
        "publishedAt": iso_or_none(product.published_at),
        "variants": [
            {
                "__typename": "ProductVariant",
                "id": gid("ProductVariant", variant.id),
                "title": variant.title,
                "sku": variant.sku,
                "barcode": variant.barcode,
                "position": position,
                "price": _money(variant.price, currency),
                "compareAtPrice": None
                if variant.compare_at_price is None
                else _money(variant.compare_at_price, currency),
                "createdAt": iso(variant.created_at),
                "updatedAt": iso(variant.updated_at),
            }
            for position, variant in enumerate(product.variants, start=1)
        ],
    }


def checkout_document(checkout: Checkout, shop_id: int, handle: str) -> Document:
    """An abandoned checkout as the Admin API shows it."""
    money = Exchange(checkout.currency, checkout.currency)
    units = price_units(checkout.currency)
    lines: list[Document] = []
    subtotal = discounts = 0
    for line in checkout.lines:
        original = divide(line.unit_price * line.quantity, units)
        subtotal += original - line.discount
        discounts += line.discount
        lines.append(
            {
                "__typename": "AbandonedCheckoutLineItem",
                "id": gid("AbandonedCheckoutLineItem", checkout.id * 64 + line.number),
                "title": line.title,
                "variantTitle": line.variant_title,
                "sku": line.sku,
                "quantity": line.quantity,
                "product": stub("Product", line.product_id),
                "variant": stub("ProductVariant", line.variant_id),
                "originalTotalPriceSet": money.bag(original),
                "discountedTotalPriceSet": money.bag(original - line.discount),
            }
        )
    rate = checkout.tax_rate
    tax = divide(subtotal * rate, 10**6 + rate if checkout.taxes_included else 10**6)
    return {
        "__typename": "AbandonedCheckout",
        "id": gid("AbandonedCheckout", checkout.id),
        "name": f"#{checkout.id}",
        "createdAt": iso(checkout.created_at),
        "updatedAt": iso(checkout.updated_at),
        "completedAt": iso_or_none(checkout.completed_at),
        "abandonedCheckoutUrl": f"https://{handle}.myshopify.com/{shop_id}/checkouts/ac/{checkout.token}"
        f"/recover?key={checkout.token[::-1]}&locale=en",
        "discountCodes": checkout.discount_codes,
        "taxesIncluded": checkout.taxes_included,
        "customer": stub("Customer", checkout.customer_id),
        "totalPriceSet": money.bag(subtotal if checkout.taxes_included else subtotal + tax),
        "subtotalPriceSet": money.bag(subtotal),
        "totalDiscountSet": money.bag(discounts),
        "totalTaxSet": money.bag(tax),
        "lineItems": lines,
    }
