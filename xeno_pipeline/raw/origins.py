"""From which field of Shopify each column of raw comes: what `raw.mapping` reads, declared for the lineage of columns.

A path begins with the GraphQL type of the row's node: `Order.customer.id`. Carts come by webhooks, not by the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from xeno_pipeline.raw import tables as raw

_MONEY = "shopMoney.amount"

_TYPES = raw.KINDS | {
    raw.ORDER_LINE_ITEMS.name: "LineItem",
    raw.ORDER_AGREEMENTS.name: "SalesAgreement",
    raw.ORDER_SALES.name: "Sale",
    raw.REFUNDS.name: "Refund",
    raw.ORDER_TRANSACTIONS.name: "OrderTransaction",
    raw.FULFILLMENTS.name: "Fulfillment",
    raw.PRODUCT_VARIANTS.name: "ProductVariant",
    raw.ABANDONED_CHECKOUT_LINE_ITEMS.name: "AbandonedCheckoutLineItem",
}

_FIELDS: Mapping[str, Mapping[str, str]] = {
    raw.SHOPS.name: {
        "name": "name",
        "myshopify_domain": "myshopifyDomain",
        "currency": "currencyCode",
        "iana_timezone": "ianaTimezone",
        "plan": "plan.publicDisplayName",
        "access_scopes": "AppInstallation.accessScopes.handle",
        "created_at": "createdAt",
    },
    raw.CUSTOMERS.name: {
        "updated_at": "updatedAt",
        "created_at": "createdAt",
        "email": "defaultEmailAddress.emailAddress",
        "phone": "defaultPhoneNumber.phoneNumber",
        "first_name": "firstName",
        "last_name": "lastName",
        "country_code": "defaultAddress.countryCodeV2",
        "locale": "locale",
        "state": "state",
        "tags": "tags",
        "number_of_orders": "numberOfOrders",
        "rfm_group": "statistics.rfmGroup",
    },
    raw.ORDERS.name: {
        "updated_at": "updatedAt",
        "name": "name",
        "customer_id": "customer.id",
        "created_at": "createdAt",
        "processed_at": "processedAt",
        "cancelled_at": "cancelledAt",
        "cancel_reason": "cancelReason",
        "is_test": "test",
        "currency": "currencyCode",
        "presentment_currency": "presentmentCurrencyCode",
        "financial_status": "displayFinancialStatus",
        "fulfillment_status": "displayFulfillmentStatus",
        "source_name": "sourceName",
        "country_code": "shippingAddress.countryCodeV2",
        "tags": "tags",
        "discount_codes": "discountCodes",
        "checkout_token": "checkoutToken",
        "cart_token": "cartToken",
        "total_price": f"totalPriceSet.{_MONEY}",
        "current_total_price": f"currentTotalPriceSet.{_MONEY}",
    },
    raw.ORDER_LINE_ITEMS.name: {
        "order_id": "Order.id",
        "product_id": "product.id",
        "variant_id": "variant.id",
        "sku": "sku",
        "title": "title",
        "quantity": "quantity",
        "current_quantity": "currentQuantity",
        "unit_price": f"originalUnitPriceSet.{_MONEY}",
        "is_gift_card": "isGiftCard",
    },
    raw.ORDER_AGREEMENTS.name: {
        "order_id": "Order.id",
        "reason": "reason",
        "happened_at": "happenedAt",
        "refund_id": "RefundAgreement.refund.id",
    },
    raw.ORDER_SALES.name: {
        "agreement_id": "SalesAgreement.id",
        "line_item_id": "ProductSale.lineItem.id",
        "action_type": "actionType",
        "line_type": "lineType",
        "quantity": "quantity",
        "total_amount": f"totalAmount.{_MONEY}",
        "discount_amount": f"totalDiscountAmountBeforeTaxes.{_MONEY}",
        "tax_amount": f"totalTaxAmount.{_MONEY}",
    },
    raw.REFUNDS.name: {
        "order_id": "Order.id",
        "created_at": "createdAt",
        "processed_at": "processedAt",
        "total_refunded": f"totalRefundedSet.{_MONEY}",
    },
    raw.ORDER_TRANSACTIONS.name: {
        "order_id": "Order.id",
        "parent_transaction_id": "parentTransaction.id",
        "kind": "kind",
        "status": "status",
        "gateway": "gateway",
        "is_test": "test",
        "created_at": "createdAt",
        "processed_at": "processedAt",
        "amount": f"amountSet.{_MONEY}",
    },
    raw.FULFILLMENTS.name: {
        "order_id": "Order.id",
        "status": "status",
        "display_status": "displayStatus",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
        "delivered_at": "deliveredAt",
        "total_quantity": "totalQuantity",
    },
    raw.PRODUCTS.name: {
        "updated_at": "updatedAt",
        "title": "title",
        "handle": "handle",
        "vendor": "vendor",
        "product_type": "productType",
        "status": "status",
        "tags": "tags",
        "created_at": "createdAt",
        "published_at": "publishedAt",
    },
    raw.PRODUCT_VARIANTS.name: {
        "product_id": "Product.id",
        "title": "title",
        "sku": "sku",
        "barcode": "barcode",
        "position": "position",
        "price": "price",
        "compare_at_price": "compareAtPrice",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
    raw.ABANDONED_CHECKOUTS.name: {
        "updated_at": "updatedAt",
        "name": "name",
        "customer_id": "customer.id",
        "created_at": "createdAt",
        "completed_at": "completedAt",
        "token": "abandonedCheckoutUrl",
        "discount_codes": "discountCodes",
        "total_price": f"totalPriceSet.{_MONEY}",
    },
    raw.ABANDONED_CHECKOUT_LINE_ITEMS.name: {
        "checkout_id": "AbandonedCheckout.id",
        "product_id": "product.id",
        "variant_id": "variant.id",
        "sku": "sku",
        "title": "title",
        "quantity": "quantity",
        "total_price": f"originalTotalPriceSet.{_MONEY}",
    },
    raw.CARTS.name: {"updated_at": "updated_at", "cart_id": "token", "created_at": "created_at", "id": "token"},
}


@cache
def fields_of(table: str) -> Mapping[str, str]:
    """The field of Shopify behind each column of a raw table; the pipeline's own columns and tables have none."""
    if table not in _FIELDS:
        return {}
    kind = _TYPES[table]
    fields = {"id": "id", **_FIELDS[table]}
    return {column: path if path[0].isupper() else f"{kind}.{path}" for column, path in fields.items()} | {
        "payload": kind
    }
