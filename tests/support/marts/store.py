"""A store in a few lines: customers, products, checkouts, and orders with their ledger, as Shopify's answers hold them.

It has none of the sandbox's realism: what matters here is that anything can happen to anything, quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.raw.tables import ABANDONED_CHECKOUTS, CARTS, CUSTOMERS, ORDERS, PRODUCTS, RawTable

OPENED = datetime(2026, 1, 1, tzinfo=UTC)

Node = dict[str, Any]


@dataclass
class Store:
    """One store. Hours count from its opening; everything that happens to an object is an update of it."""

    handle: str
    orders: dict[int, Node] = field(default_factory=dict)
    customers: dict[int, Node] = field(default_factory=dict)
    products: dict[int, Node] = field(default_factory=dict)
    checkouts: dict[int, Node] = field(default_factory=dict)
    carts: dict[int, Node] = field(default_factory=dict)
    _clock: int = 0
    _unloaded: set[str] = field(default_factory=set)

    def load(self, warehouse: Warehouse) -> None:
        """Load whatever changed since the last time."""
        for root, nodes in self._kinds():
            if root.name in self._unloaded:
                warehouse.load(self.handle, root, deepcopy(list(nodes.values())))
        self._unloaded.clear()

    # -- customers, products, checkouts

    def add_customer(self, **fields: Any) -> int:
        number = self._next(CUSTOMERS, self.customers)
        self.customers[number] = {
            "__typename": "Customer",
            "id": f"gid://shopify/Customer/{number}",
            **dict.fromkeys(("defaultPhoneNumber", "firstName", "lastName", "defaultAddress", "locale", "state")),
            "defaultEmailAddress": {"emailAddress": f"{number}@example.com"},
            "tags": [],
            "numberOfOrders": "0",
            "statistics": None,
            "createdAt": _at(0),
            "updatedAt": _at(0),
            **fields,
        }
        return number

    def update_customer(self, number: int) -> None:
        self._touch(CUSTOMERS, self.customers[number])["firstName"] = f"as of {self._clock}"

    def delete_customer(self, number: int) -> None:
        self._unloaded.add(CUSTOMERS.name)
        del self.customers[number]

    def merge_customers(self, winner: int, loser: int) -> None:
        """Merge a customer into another: the orders move, the loser is gone."""
        self.delete_customer(loser)
        for order in self.orders.values():
            if order["customer"] == {"id": f"gid://shopify/Customer/{loser}"}:
                self._touch(ORDERS, order)["customer"] = {"id": f"gid://shopify/Customer/{winner}"}

    def add_product(self) -> int:
        number = self._next(PRODUCTS, self.products)
        self.products[number] = {
            "__typename": "Product",
            "id": f"gid://shopify/Product/{number}",
            "title": f"Product {number}",
            **dict.fromkeys(("handle", "vendor", "productType", "status", "publishedAt")),
            "tags": [],
            "createdAt": _at(0),
            "updatedAt": _at(0),
            "variants": [_variant(10 * number + each, "9.50") for each in (1, 2)],
        }
        return number

    def update_product(self, number: int) -> None:
        product = self._touch(PRODUCTS, self.products[number])
        product["variants"] = [_variant(10 * number + 1, f"{self._clock}.00")]

    def delete_product(self, number: int) -> None:
        self._unloaded.add(PRODUCTS.name)
        del self.products[number]

    def leave_checkout(self, customer: int | None, hour: int, currency: str = "EUR") -> int:
        number = self._next(ABANDONED_CHECKOUTS, self.checkouts)
        self.checkouts[number] = {
            "__typename": "AbandonedCheckout",
            "id": f"gid://shopify/AbandonedCheckout/{number}",
            "name": f"#{number}",
            "customer": _reference("Customer", customer),
            "createdAt": _at(hour),
            "updatedAt": _at(hour),
            "completedAt": None,
            "abandonedCheckoutUrl": f"https://shop/checkouts/t{number}/recover",
            "discountCodes": [],
            "totalPriceSet": _money("12.00", currency),
        }
        return number

    def complete_checkout(self, number: int, hour: int) -> int:
        """Make an order of it."""
        checkout = self._touch(ABANDONED_CHECKOUTS, self.checkouts[number])
        checkout["completedAt"] = _at(hour)
        gid = checkout["customer"]
        order = self.place_order(int(gid["id"].rpartition("/")[2]) if gid else None, hour, product=None)
        self.orders[order]["checkoutToken"] = f"t{number}"
        return order

    # -- carts

    def fill_cart(self, hour: int, currency: str = "EUR") -> int:
        number = self._next(CARTS, self.carts)
        self.carts[number] = {
            "__typename": "Cart",
            "token": f"cart-{number}",
            "created_at": _at(hour),
            "updated_at": _at(hour),
            "line_items": [_cart_line(1, currency)],
        }
        return number

    def change_cart(self, number: int, units: int) -> None:
        """Give a cart so many units, none empties it."""
        self._unloaded.add(CARTS.name)
        self._clock += 1
        cart = self.carts[number]
        cart["updated_at"] = (datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=self._clock)).isoformat()
        cart["line_items"] = [_cart_line(units)] if units else []

    def order_cart(self, number: int, customer: int | None, hour: int) -> int:
        """Make an order of it."""
        return self.place_order(customer, hour, product=None, cartToken=self.carts[number]["token"])

    # -- orders

    def add_customers_of_up_to(self, orders: int) -> None:
        """A customer of no order, one of one, and so on, each a day apart, of one product."""
        product = self.add_product()
        for number in range(orders + 1):
            customer = self.add_customer()
            for order in range(number):
                self.place_order(customer, hour=24 * (number + order), product=product)

    def place_order(
        self,
        customer: int | None,
        hour: int,
        *,
        product: int | None,
        price: str = "20.00",
        line_type: str = "PRODUCT",
        **fields: Any,
    ) -> int:
        """An order of one line of two units, with shipping."""
        number = self._next(ORDERS, self.orders)
        order: Node = {
            "__typename": "Order",
            "id": f"gid://shopify/Order/{number}",
            "name": f"#{number}",
            **dict.fromkeys(("shippingAddress", "billingAddress", "totalPriceSet", "currentTotalPriceSet")),
            **dict.fromkeys(("cancelledAt", "cancelReason", "displayFinancialStatus", "displayFulfillmentStatus")),
            **dict.fromkeys(("sourceName", "checkoutToken", "cartToken")),
            "customer": _reference("Customer", customer),
            "createdAt": _at(hour),
            "processedAt": _at(hour),
            "updatedAt": _at(hour),
            "test": False,
            "currencyCode": "EUR",
            "presentmentCurrencyCode": "EUR",
            "tags": [],
            "discountCodes": [],
            "refunds": [],
            "transactions": [],
            "fulfillments": [],
            "lineItems": [],
            "agreements": [],
            **fields,
        }
        self.orders[number] = order
        line = self._add_line(order, product)
        self._agree(
            order, "ORDER", hour, ("ORDER", line_type, 2, price, line), ("ORDER", "SHIPPING", None, "5.00", None)
        )
        return number

    def edit_order(self, number: int, hour: int, product: int | None) -> None:
        """Add a line, and sell one unit less of the first."""
        order = self._touch(ORDERS, self.orders[number])
        line = self._add_line(order, product)
        first = order["lineItems"][0]["id"]
        self._agree(
            order, "ORDER_EDIT", hour, ("ORDER", "PRODUCT", 1, "7.00", line), ("RETURN", "PRODUCT", -1, "-10.00", first)
        )

    def refund(self, number: int, hour: int, *, money: str = "3.50") -> int:
        """Take something back, and pay so much for it."""
        refund = self.pay_back(number, hour, money)
        order = self.orders[number]
        first = order["lineItems"][0]["id"]
        sales = ("RETURN", "PRODUCT", -1, "-4.00", first), ("RETURN", "ADJUSTMENT", None, "0.50", None)
        self._agree(order, "REFUND", hour, *sales)
        order["agreements"][-1]["refund"] = {"id": f"gid://shopify/Refund/{refund}"}
        return refund

    def pay_back(self, number: int, hour: int, money: str) -> int:
        """A refund of money alone, as after an edit that made the order cheaper: the ledger has no sale of it."""
        order = self._touch(ORDERS, self.orders[number])
        self._clock += 1
        order["refunds"].append(
            {
                "__typename": "Refund",
                "id": f"gid://shopify/Refund/{self._clock}",
                "createdAt": _at(hour),
                "processedAt": _at(hour),
                "totalRefundedSet": _money(money),
            }
        )
        return self._clock

    def exchange(self, number: int, hour: int, product: int | None) -> None:
        order = self._touch(ORDERS, self.orders[number])
        line, first = self._add_line(order, product), order["lineItems"][0]["id"]
        sales = ("RETURN", "PRODUCT", -1, "-9.00", first), ("ORDER", "PRODUCT", 1, "11.00", line)
        self._agree(order, "RETURN", hour, *sales)

    def cancel(self, number: int, hour: int) -> None:
        order = self._touch(ORDERS, self.orders[number])
        order["cancelledAt"] = _at(hour)
        self._agree(order, "REFUND", hour, ("RETURN", "PRODUCT", -2, "-20.00", order["lineItems"][0]["id"]))

    def revive(self, number: int) -> None:
        """Take a cancellation back, or the mark of a test order: whatever Shopify says last is true."""
        self._touch(ORDERS, self.orders[number]).update(cancelledAt=None, test=False)

    def mark_test(self, number: int) -> None:
        self._touch(ORDERS, self.orders[number])["test"] = True

    def move_order(self, number: int, hour: int) -> None:
        """Change when an order was processed."""
        self._touch(ORDERS, self.orders[number])["processedAt"] = _at(hour)

    def misdate(self, number: int, what: str, at: str) -> None:
        """Change an instant of an order, `happenedAt` of its last agreement, or `refundedAt` of its last refund."""
        order = self._touch(ORDERS, self.orders[number])
        if what == "refundedAt":
            order["refunds"][-1].update(createdAt=at, processedAt=at)
        else:
            (order["agreements"][-1] if what == "happenedAt" else order)[what] = at

    def reassign(self, number: int, customer: int | None) -> None:
        self._touch(ORDERS, self.orders[number])["customer"] = _reference("Customer", customer)

    def delete_order(self, number: int) -> None:
        self._unloaded.add(ORDERS.name)
        del self.orders[number]

    # -- below

    def _kinds(self) -> Iterator[tuple[RawTable, dict[int, Node]]]:
        yield PRODUCTS, self.products
        yield CUSTOMERS, self.customers
        yield ORDERS, self.orders
        yield ABANDONED_CHECKOUTS, self.checkouts
        yield CARTS, self.carts

    def _next(self, root: RawTable, nodes: dict[int, Node]) -> int:
        self._unloaded.add(root.name)
        self._clock += 1
        return self._clock

    def _touch(self, root: RawTable, node: Node) -> Node:
        self._unloaded.add(root.name)
        self._clock += 1
        node["updatedAt"] = (datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=self._clock)).isoformat()
        return node

    def _add_line(self, order: Node, product: int | None) -> str:
        self._clock += 1
        gid = f"gid://shopify/LineItem/{self._clock}"
        order["lineItems"].append(
            {
                "__typename": "LineItem",
                "id": gid,
                "product": _reference("Product", product),
                "variant": _reference("ProductVariant", product and 10 * product + 1 + self._clock % 2),
                "sku": None,
                "title": "A line",
                "quantity": 2,
                "currentQuantity": 2,
                "originalUnitPriceSet": _money("10.00"),
                "isGiftCard": False,
            }
        )
        return gid

    def _agree(self, order: Node, reason: str, hour: int, *sales: tuple[str, str, int | None, str, str | None]) -> None:
        self._clock += 1
        order["agreements"].append(
            {
                "__typename": "SalesAgreement",
                "id": f"gid://shopify/SalesAgreement/{self._clock}",
                "reason": reason,
                "happenedAt": _at(hour),
                "sales": [
                    {
                        "__typename": "Sale",
                        "id": f"gid://shopify/Sale/{self._clock}-{number}",
                        "actionType": action,
                        "lineType": line_type,
                        "quantity": quantity,
                        "lineItem": {"id": line} if line else None,
                        "totalAmount": _money(amount),
                        "totalDiscountAmountBeforeTaxes": _money("1.00" if reason == "ORDER" else "0.0"),
                        "totalTaxAmount": _money("0.25"),
                    }
                    for number, (action, line_type, quantity, amount, line) in enumerate(sales)
                ],
            }
        )


def _cart_line(units: int, currency: str = "EUR") -> Node:
    price = {"shop_money": {"amount": f"{units}.50", "currency_code": currency}}
    return {"quantity": units, "line_price": "0.00", "line_price_set": price}


def _at(hour: int) -> str:
    return (OPENED + timedelta(hours=hour)).isoformat()


def _money(amount: str, currency: str = "EUR") -> Node:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def _reference(kind: str, number: int | None) -> Node | None:
    return None if number is None else {"id": f"gid://shopify/{kind}/{number}"}


def _variant(number: int, price: str) -> Node:
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{number}",
        "title": "A variant",
        **dict.fromkeys(("barcode", "position", "compareAtPrice", "createdAt", "updatedAt")),
        "sku": f"SKU-{number}",
        "price": price,
    }
