"""An order with its lines, its ledger, payments and fulfillments, in the shop's minor units.

Nothing that follows from the ledger is stored: totals, statuses and current quantities are computed where an order is
rendered. `ledger` writes to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shopify_sandbox.model.money import Exchange

RATE_MILLION = 10**6
PAYMENTS = ("SALE", "CAPTURE")
FEES = ("SHIPPING", "DUTY", "ADDITIONAL_FEE", "FEE")
"""Line types that are sold with an order but have no line item."""


@dataclass(slots=True)
class Line:
    """A line item as it was ordered; `number` is unique within the order and makes up its id."""

    number: int
    title: str
    unit_price: int
    """In price units, see `money.PRICE_DECIMALS`."""
    kind: str = "PRODUCT"
    """PRODUCT, GIFT_CARD or TIP."""
    variant_title: str | None = None
    sku: str | None = None
    vendor: str | None = None
    discount: int = 0
    """Discounts of this line alone, without its share of the order's discounts."""
    requires_shipping: bool = True
    taxable: bool = True
    product_id: int | None = None
    variant_id: int | None = None


@dataclass(slots=True)
class Sale:
    """One entry of the ledger. Amounts have the signs Shopify gives them: returns are negative."""

    number: int
    line_type: str
    action: str
    quantity: int | None
    amount: int
    """After discounts and taxes."""
    discount: int
    """As it was granted: off a price that includes taxes where the order's prices do."""
    discount_tax: int
    """The part of the discount that is tax."""
    tax: int
    line: int | None = None
    """Position of the line item in the order."""


@dataclass(slots=True)
class Agreement:
    """Sales that were agreed at one moment: the order itself, an edit, a return or a refund."""

    number: int
    kind: str
    """ORDER, ORDER_EDIT, RETURN or REFUND."""
    happened_at: int
    sales: list[Sale] = field(default_factory=list)
    refund: int | None = None
    """Position of the refund in the order."""


@dataclass(slots=True)
class Refund:
    """Money (or only goods) given back."""

    number: int
    processed_at: int
    total: int
    created_at: int | None


@dataclass(slots=True)
class Transaction:
    """A payment, its authorization, or money returned; amounts are positive whatever the kind."""

    number: int
    kind: str
    status: str
    gateway: str
    amount: int
    created_at: int
    parent: int | None = None
    """Position of the transaction it captures, voids or returns."""
    error_code: str | None = None


@dataclass(slots=True)
class Fulfillment:
    """A parcel."""

    number: int
    created_at: int
    quantity: int
    delivered_at: int | None = None


@dataclass(slots=True)
class Order:
    """An order with everything that happened to it. Times are seconds since 1970, UTC."""

    id: int
    child_base: int
    """The ids of lines, sales, refunds and so on are this plus their number."""
    name: str
    created_at: int
    processed_at: int
    updated_at: int
    currency: str
    presentment_currency: str
    presentment_rate: int
    taxes_included: bool
    tax_rate: int
    """In millionths."""
    customer_id: int | None = None
    cancelled_at: int | None = None
    cancel_reason: str | None = None
    closed_at: int | None = None
    test: bool = False
    edited: bool = False
    status_unknown: bool = False
    """Shopify gives no financial status for a few orders."""
    source_name: str | None = "web"
    gateway: str = "shopify_payments"
    tags: list[str] = field(default_factory=list)
    discount_codes: list[str] = field(default_factory=list)
    checkout_token: str | None = None
    cart_token: str | None = None
    shipping_country: str | None = None
    billing_country: str | None = None
    has_addresses: bool = True
    lines: list[Line] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)

    @property
    def exchange(self) -> Exchange:
        """The order's currencies."""
        return Exchange(self.currency, self.presentment_currency, self.presentment_rate)

    @property
    def sales(self) -> Iterable[Sale]:
        """All entries of the ledger, oldest first."""
        return (sale for agreement in self.agreements for sale in agreement.sales)

    @property
    def current_total(self) -> int:
        """What the order is worth after everything that happened to it."""
        return sum(sale.amount for sale in self.sales)

    @property
    def received(self) -> int:
        """What the customer paid."""
        return sum(t.amount for t in self.transactions if t.kind in PAYMENTS and t.status == "SUCCESS")

    @property
    def refunded(self) -> int:
        """What the customer was paid back."""
        return sum(t.amount for t in self.transactions if t.kind == "REFUND" and t.status == "SUCCESS")

    def units(self, position: int) -> int:
        """How many units of a line the customer still has (UPDATE sales change no quantity)."""
        return sum(s.quantity or 0 for s in self.sales if s.line == position and s.action != "UPDATE")


def order_from_json(data: dict[str, Any]) -> Order:
    """An order as `orjson.dumps` wrote it."""
    return Order(
        **data
        | {
            "lines": [Line(**line) for line in data["lines"]],
            "agreements": [
                Agreement(**a | {"sales": [Sale(**sale) for sale in a["sales"]]}) for a in data["agreements"]
            ],
            "refunds": [Refund(**refund) for refund in data["refunds"]],
            "transactions": [Transaction(**transaction) for transaction in data["transactions"]],
            "fulfillments": [Fulfillment(**fulfillment) for fulfillment in data["fulfillments"]],
        }
    )
