"""Documents: what GraphQL answers, as plain dicts in the shape of the schema.

Every document carries `__typename`; connections are lists; a reference to another root object is a stub of its
`id`, resolved when it is asked for (`execution/references.py`). All figures that follow from an order's ledger are
computed here.
"""

from __future__ import annotations

from collections.abc import Callable

from shopify_sandbox.model.money import Document, Exchange
from shopify_sandbox.model.order import Order, Sale
from shopify_sandbox.model.times import iso, iso_or_none

_SALE_TYPES = {
    "PRODUCT": "ProductSale",
    "GIFT_CARD": "GiftCardSale",
    "TIP": "TipSale",
    "SHIPPING": "ShippingLineSale",
    "DUTY": "DutySale",
    "ADDITIONAL_FEE": "AdditionalFeeSale",
    "FEE": "FeeSale",
    "ADJUSTMENT": "AdjustmentSale",
}
_AGREEMENT_TYPES = {
    "ORDER": "OrderAgreement",
    "ORDER_EDIT": "OrderEditAgreement",
    "RETURN": "ReturnAgreement",
    "REFUND": "RefundAgreement",
}


def gid(kind: str, number: int) -> str:
    """Shopify's global id of an object."""
    return f"gid://shopify/{kind}/{number}"


def stub(kind: str, number: int | None) -> Document | None:
    """A reference to a root object."""
    return None if number is None else {"__typename": kind, "id": f"gid://shopify/{kind}/{number}"}


def address(country: str | None, owner: int) -> Document:
    """A mailing address, of which only the country is known."""
    return {"__typename": "MailingAddress", "id": gid("MailingAddress", owner), "countryCodeV2": country}


def _tally(order: Order, convert: Callable[[int], int]) -> dict[str, int]:
    """An order's figures in one currency: sums of its entries, each converted (so that they add up)."""
    total = current = subtotal = discounts = shipping = tax = 0
    for sale in order.sales:
        amount = convert(sale.amount)
        current += amount
        if sale.action == "RETURN":
            continue
        total += amount
        sale_tax = convert(sale.tax)
        tax += sale_tax
        discounts += convert(sale.discount)
        if sale.line_type == "SHIPPING":
            before_discounts = amount + convert(sale.discount)
            shipping += before_discounts if order.taxes_included else before_discounts - sale_tax
        elif sale.line is not None and sale.line_type != "TIP":
            subtotal += amount if order.taxes_included else amount - sale_tax
    refunded = sum(convert(refund.total) for refund in order.refunds)
    return {
        "totalPriceSet": total,
        "currentTotalPriceSet": current,
        "subtotalPriceSet": subtotal,
        "totalDiscountsSet": discounts,
        "totalShippingPriceSet": shipping,
        "totalTaxSet": tax,
        "totalRefundedSet": refunded,
    }


def _totals(order: Order, money: Exchange) -> Document:
    shop = _tally(order, int)
    presented = shop if money.is_identity else _tally(order, money.convert)
    return {name: money.bag(amount, presented[name]) for name, amount in shop.items()}


def financial_status(order: Order) -> str | None:
    """`displayFinancialStatus`, from the payments."""
    if order.status_unknown:
        return None
    received, refunded = order.received, order.refunded
    if not received:
        if order.cancelled_at is not None:
            return "VOIDED"
        if any(t.kind == "AUTHORIZATION" for t in order.transactions):
            return "AUTHORIZED"
        return "PENDING" if order.current_total else "PAID"
    if refunded:
        return "REFUNDED" if refunded >= received else "PARTIALLY_REFUNDED"
    return "PAID" if received >= order.current_total else "PARTIALLY_PAID"


def _fulfillment_status(order: Order, shippable: int) -> str:
    shipped = sum(fulfillment.quantity for fulfillment in order.fulfillments)
    if shipped:
        return "FULFILLED" if shipped >= shippable else "PARTIALLY_FULFILLED"
    return "UNFULFILLED" if shippable or order.cancelled_at is not None else "FULFILLED"


def order_document(order: Order) -> Document:
    """An order as the Admin API shows it."""
    money = order.exchange
    ordered = [0] * len(order.lines)
    current = [0] * len(order.lines)
    for sale in order.sales:
        if sale.line is not None and sale.quantity and sale.action != "UPDATE":
            current[sale.line] += sale.quantity
            if sale.quantity > 0:
                ordered[sale.line] += sale.quantity
    lines: list[Document] = [
        {
            "__typename": "LineItem",
            "id": f"gid://shopify/LineItem/{order.child_base + line.number}",
            "title": line.title,
            "variantTitle": line.variant_title,
            "sku": line.sku,
            "vendor": line.vendor,
            "quantity": ordered[position],
            "currentQuantity": current[position],
            "isGiftCard": line.kind == "GIFT_CARD",
            "requiresShipping": line.requires_shipping,
            "taxable": line.taxable,
            "product": stub("Product", line.product_id),
            "variant": stub("ProductVariant", line.variant_id),
            "originalUnitPriceSet": money.price_bag(line.unit_price),
            "totalDiscountSet": money.bag(line.discount),
        }
        for position, line in enumerate(order.lines)
    ]
    refunds: list[Document] = [
        {
            "__typename": "Refund",
            "id": f"gid://shopify/Refund/{order.child_base + refund.number}",
            "createdAt": iso_or_none(refund.created_at),
            "processedAt": iso(refund.processed_at),
            "updatedAt": iso(refund.processed_at),
            "totalRefundedSet": money.bag(refund.total),
        }
        for refund in order.refunds
    ]
    transactions: list[Document] = []
    for transaction in order.transactions:
        transactions.append(
            {
                "__typename": "OrderTransaction",
                "id": f"gid://shopify/OrderTransaction/{order.child_base + transaction.number}",
                "kind": transaction.kind,
                "status": transaction.status,
                "gateway": transaction.gateway,
                "test": order.test,
                "createdAt": iso(transaction.created_at),
                "processedAt": iso(transaction.created_at),
                "errorCode": transaction.error_code,
                "parentTransaction": None if transaction.parent is None else transactions[transaction.parent],
                "amountSet": money.bag(transaction.amount),
            }
        )
    shippable = sum(quantity for quantity, line in zip(current, order.lines, strict=True) if line.requires_shipping)
    return {
        "__typename": "Order",
        "id": gid("Order", order.id),
        "name": order.name,
        "createdAt": iso(order.created_at),
        "processedAt": iso(order.processed_at),
        "updatedAt": iso(order.updated_at),
        "cancelledAt": iso_or_none(order.cancelled_at),
        "cancelReason": order.cancel_reason,
        "closedAt": iso_or_none(order.closed_at),
        "test": order.test,
        "confirmed": True,
        "edited": order.edited,
        "taxesIncluded": order.taxes_included,
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.presentment_currency,
        "displayFinancialStatus": financial_status(order),
        "displayFulfillmentStatus": _fulfillment_status(order, shippable),
        "sourceName": order.source_name,
        "tags": order.tags,
        "discountCodes": order.discount_codes,
        "checkoutToken": order.checkout_token,
        "cartToken": order.cart_token,
        "customer": stub("Customer", order.customer_id),
        "shippingAddress": address(order.shipping_country, order.child_base + 1) if order.has_addresses else None,
        "billingAddress": address(order.billing_country, order.child_base + 2) if order.has_addresses else None,
        **_totals(order, money),
        "refunds": refunds,
        "transactions": transactions,
        "fulfillments": [
            {
                "__typename": "Fulfillment",
                "id": f"gid://shopify/Fulfillment/{order.child_base + fulfillment.number}",
                "status": "SUCCESS",
                "displayStatus": "FULFILLED" if fulfillment.delivered_at is None else "DELIVERED",
                "createdAt": iso(fulfillment.created_at),
                "updatedAt": iso(fulfillment.delivered_at or fulfillment.created_at),
                "deliveredAt": iso_or_none(fulfillment.delivered_at),
                "totalQuantity": fulfillment.quantity,
            }
            for fulfillment in order.fulfillments
        ],
        "lineItems": lines,
        "agreements": _agreements(order, lines, refunds, money),
    }


def _agreements(order: Order, lines: list[Document], refunds: list[Document], money: Exchange) -> list[Document]:
    documents: list[Document] = []
    for agreement in order.agreements:
        kind = _AGREEMENT_TYPES[agreement.kind]
        document: Document = {
            "__typename": kind,
            "id": f"gid://shopify/{kind}/{order.child_base + agreement.number}",
            "reason": agreement.kind,
            "happenedAt": iso(agreement.happened_at),
            "sales": [_sale(order, sale, lines, money) for sale in agreement.sales],
        }
        if agreement.refund is not None:
            document["refund"] = refunds[agreement.refund]
        documents.append(document)
    return documents


def _sale(order: Order, sale: Sale, lines: list[Document], money: Exchange) -> Document:
    kind = _SALE_TYPES[sale.line_type]
    document: Document = {
        "__typename": kind,
        "id": f"gid://shopify/{kind}/{order.child_base + sale.number}",
        "actionType": sale.action,
        "lineType": sale.line_type,
        "quantity": sale.quantity,
        "totalAmount": money.bag(sale.amount),
        "totalDiscountAmountBeforeTaxes": money.bag(sale.discount - sale.discount_tax),
        "totalTaxAmount": money.bag(sale.tax),
    }
    if sale.line is not None:
        document["lineItem"] = lines[sale.line]
    return document
