"""The events that write to an order's ledger.

The generator, the CSV store and the control mutations all make and change orders with these functions alone, so
an order's ledger, payments and refunds agree whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterable

from shopify_sandbox.model.money import divide, price_units
from shopify_sandbox.model.order import (
    FEES,
    PAYMENTS,
    RATE_MILLION,
    Agreement,
    Fulfillment,
    Line,
    Order,
    Refund,
    Sale,
    Transaction,
)


def gross(order: Order, position: int, quantity: int) -> int:
    """Price times quantity of a line, in minor units."""
    return divide(order.lines[position].unit_price * quantity, price_units(order.currency))


def _record(
    order: Order,
    agreement: Agreement,
    line_type: str,
    action: str,
    quantity: int | None,
    figures: tuple[int, int, int, int],
    line: int | None = None,
) -> None:
    agreement.sales.append(Sale(_sales_count(order) + 1, line_type, action, quantity, *figures, line))


def _taxed(order: Order, price: int, discount: int, *, taxable: bool) -> tuple[int, int, int, int]:
    """Amount, discount, the discount's tax and tax of something sold at a price."""
    net = price - discount
    if not taxable or not order.tax_rate:
        return net, discount, 0, 0
    if order.taxes_included:
        with_tax = RATE_MILLION + order.tax_rate
        return (
            net,
            discount,
            divide(discount * order.tax_rate, with_tax),
            divide(net * order.tax_rate, with_tax),
        )
    tax = divide(net * order.tax_rate, RATE_MILLION)
    return net + tax, discount, 0, tax


def _agree(order: Order, kind: str, at: int, refund: int | None = None) -> Agreement:
    agreement = Agreement(len(order.agreements) + 1, kind, at, refund=refund)
    order.agreements.append(agreement)
    return agreement


def _sales_count(order: Order) -> int:
    return sum(len(agreement.sales) for agreement in order.agreements)


def _sell(order: Order, agreement: Agreement, position: int, quantity: int, discount: int) -> None:
    line = order.lines[position]
    taxable = line.taxable and line.kind == "PRODUCT"
    figures = _taxed(order, gross(order, position, quantity), discount, taxable=taxable)
    _record(order, agreement, line.kind, "ORDER", quantity, figures, position)


def _charge(order: Order, agreement: Agreement, line_type: str, price: int, discount: int = 0) -> None:
    figures = _taxed(order, price, discount, taxable=line_type == "SHIPPING")
    _record(order, agreement, line_type, "ORDER", None, figures)


def place(
    order: Order,
    quantities: list[int],
    discounts: list[int],
    shipping: tuple[int, int] | None = None,
    charges: Iterable[tuple[str, int]] = (),
) -> None:
    """Write the order's own agreement.

    Args:
        order: An order with its lines and nothing else yet.
        quantities: Units of each line.
        discounts: Of each line, its own discounts and its share of the order's, in minor units.
        shipping: Price and discount of the shipping line, if there is one.
        charges: Line type and price of duties and fees.
    """
    agreement = _agree(order, "ORDER", order.processed_at)
    for position, (quantity, discount) in enumerate(zip(quantities, discounts, strict=True)):
        _sell(order, agreement, position, quantity, discount)
    if shipping is not None:
        _charge(order, agreement, "SHIPPING", *shipping)
    for line_type, price in charges:
        _charge(order, agreement, line_type, price)


def pay(order: Order, at: int, kind: str = "SALE", amount: int | None = None, parent: int | None = None) -> None:
    """Record a successful transaction of an amount (default: what is outstanding); nothing for nothing."""
    due = order.current_total - order.received + order.refunded if amount is None else amount
    if due > 0:
        number = len(order.transactions) + 1
        order.transactions.append(Transaction(number, kind, "SUCCESS", order.gateway, due, at, parent))


def decline(order: Order, at: int) -> None:
    """Record an attempt to pay that the bank refused."""
    number = len(order.transactions) + 1
    order.transactions.append(
        Transaction(number, "SALE", "FAILURE", order.gateway, order.current_total, at, error_code="CARD_DECLINED")
    )


def _balance(order: Order, line_type: str, position: int | None) -> tuple[int, int, int, int]:
    """What the sales of a line (or of a charge) add up to so far."""
    amount = discount = discount_tax = tax = 0
    for sale in order.sales:
        if sale.line == position and sale.line_type == line_type:
            amount += sale.amount
            discount += sale.discount
            discount_tax += sale.discount_tax
            tax += sale.tax
    return amount, discount, discount_tax, tax


def remaining_value(order: Order, position: int) -> int:
    """What is left of a line after discounts and taxes, in minor units."""
    return _balance(order, order.lines[position].kind, position)[0]


def _return_units(order: Order, agreement: Agreement, position: int, quantity: int) -> None:
    """Return units of a line: their share of what the line is still worth."""
    line_type = order.lines[position].kind
    units = order.units(position)
    if not 0 < quantity <= units:
        raise ValueError(f"{quantity} units of line {position + 1} cannot be returned: {units} are left.")
    amount, discount, discount_tax, tax = (
        -divide(figure * quantity, units) for figure in _balance(order, line_type, position)
    )
    _record(order, agreement, line_type, "RETURN", -quantity, (amount, discount, discount_tax, tax), position)


def _return_charge(order: Order, agreement: Agreement, line_type: str) -> None:
    """Return what is left of a charge, if there is anything."""
    amount, discount, discount_tax, tax = _balance(order, line_type, None)
    if amount or tax:
        _record(order, agreement, line_type, "RETURN", None, (-amount, -discount, -discount_tax, -tax))


def _give_back(order: Order, at: int, amount: int) -> Refund:
    """A refund of an amount, at most what the customer has paid and not got back yet."""
    amount = max(0, min(amount, order.received - order.refunded))
    paid_by = next((n for n, t in enumerate(order.transactions) if t.kind in PAYMENTS and t.status == "SUCCESS"), None)
    pay(order, at, "REFUND", amount, paid_by)
    refund = Refund(len(order.refunds) + 1, at, amount, at)
    order.refunds.append(refund)
    return refund


def refund(
    order: Order, at: int, units: dict[int, int], *, charges: tuple[str, ...] = (), adjustment: int = 0
) -> Refund:
    """Refund units of lines.

    Args:
        order: The order, changed in place.
        at: When, in seconds since 1970.
        units: How many units to return, by position of the line.
        charges: Line types to return whole, such as SHIPPING.
        adjustment: Minor units the customer gets less (positive: a restocking fee) or more (negative: goodwill)
            than the returned lines are worth; becomes an AdjustmentSale.
    """
    agreement = _agree(order, "REFUND", at, refund=len(order.refunds))
    for position, quantity in units.items():
        _return_units(order, agreement, position, quantity)
    for line_type in charges:
        _return_charge(order, agreement, line_type)
    if adjustment:
        _record(order, agreement, "ADJUSTMENT", "RETURN", None, (adjustment, 0, 0, 0))
    return _give_back(order, at, -sum(sale.amount for sale in agreement.sales))


def remaining(order: Order) -> dict[int, int]:
    """The units still with the customer, by position of the line."""
    units = {position: order.units(position) for position in range(len(order.lines))}
    return {position: quantity for position, quantity in units.items() if quantity > 0}


def cancel(order: Order, at: int, reason: str) -> None:
    """Cancel an order: everything left of it is returned, an open authorization is voided."""
    for position, transaction in enumerate(order.transactions):
        if transaction.kind == "AUTHORIZATION" and not order.received:
            pay(order, at, "VOID", transaction.amount, position)
            break
    refund(order, at, remaining(order), charges=FEES)
    order.cancelled_at = order.closed_at = at
    order.cancel_reason = reason


def _settle(order: Order, at: int) -> None:
    """Collect or return what an edit left outstanding; an order nobody paid stays outstanding."""
    outstanding = order.current_total - order.received + order.refunded
    if order.received and outstanding > 0:
        pay(order, at)
    elif order.received and outstanding < 0:
        _agree(order, "REFUND", at, refund=len(order.refunds))
        _give_back(order, at, -outstanding)


def add_line(order: Order, at: int, line: Line, quantity: int) -> None:
    """Edit an order: one more line."""
    order.lines.append(line)
    _sell(order, _agree(order, "ORDER_EDIT", at), len(order.lines) - 1, quantity, 0)
    order.edited = True
    _settle(order, at)


def add_units(order: Order, at: int, position: int, quantity: int) -> None:
    """Edit an order: more units of a line, at its price, without discount."""
    _sell(order, _agree(order, "ORDER_EDIT", at), position, quantity, 0)
    order.edited = True
    _settle(order, at)


def remove_units(order: Order, at: int, position: int, quantity: int) -> None:
    """Edit an order: fewer units of a line."""
    _return_units(order, _agree(order, "ORDER_EDIT", at), position, quantity)
    order.edited = True
    _settle(order, at)


def discount_line(order: Order, at: int, position: int, discount: int) -> None:
    """Edit an order: a discount on a line after the fact, an UPDATE sale."""
    line = order.lines[position]
    amount, _, _, tax = _balance(order, line.kind, position)
    if not 0 <= discount <= (amount if order.taxes_included else amount - tax):
        raise ValueError(f"Line {position + 1} is not worth a discount of {discount} minor units.")
    figures = _taxed(order, 0, discount, taxable=line.taxable)
    units = order.units(position)
    _record(order, _agree(order, "ORDER_EDIT", at), line.kind, "UPDATE", units, figures, position)
    line.discount += discount
    order.edited = True
    _settle(order, at)


def exchange(order: Order, at: int, position: int, quantity: int, line: Line) -> None:
    """Exchange units of a line for as many of a new one, in one ReturnAgreement."""
    agreement = _agree(order, "RETURN", at)
    _return_units(order, agreement, position, quantity)
    order.lines.append(line)
    _sell(order, agreement, len(order.lines) - 1, quantity, 0)
    _settle(order, at)


def fulfill(order: Order, at: int, quantity: int, delivered_at: int | None = None) -> None:
    """Ship units."""
    number = len(order.fulfillments) + 1
    order.fulfillments.append(Fulfillment(number, at, quantity, delivered_at))
