"""Composes orders: what is in the basket, its discounts, taxes, shipping and currency, and how its fate unfolds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import blake2b

from shopify_sandbox.generator.catalog import RATES, local_price
from shopify_sandbox.generator.plan import Fate
from shopify_sandbox.model import ledger
from shopify_sandbox.model.money import RATE_ONE, allocate, decimals, price_units
from shopify_sandbox.model.objects import CheckoutLine, Product
from shopify_sandbox.model.order import FEES, Line, Order

_TAX_RATES = {"EUR": 190_000, "GBP": 200_000, "JPY": 100_000, "USD": 88_750, "CAD": 130_000, "KWD": 0, "AUD": 100_000}
_HOME = {"EUR": "DE", "GBP": "GB", "JPY": "JP", "USD": "US", "CAD": "CA", "KWD": "KW", "AUD": "AU", "CHF": "CH"}
_ABROAD = ("FR", "NL", "US", "GB", "JP", "SE", "IT", "BR", "AU", "MX")
_ABROAD_CURRENCIES = ("EUR", "GBP", "USD", "JPY", "CAD", "KWD")
_CODES = ("WELCOME10", "SOMMER-25", "VIP", "été", "BLACK FRIDAY")
_TAGS = ("wholesale", "gift", "priority", "réclamation", 'says "hi"', "a\\b")
_SHIPPING_DOLLARS = (0.0, 4.5, 7.5, 12.0)
_REASONS = ("CUSTOMER", "INVENTORY", "FRAUD", "DECLINED", "STAFF", "OTHER")
LARGE_ORDER_LINES = 300


@dataclass(slots=True)
class Moments:
    """When an order happened; 0 is never."""

    created: int
    processed: int
    fulfilled: int = 0
    delivered: int = 0
    first_event: int = 0
    second_event: int = 0


def token_of(kind: str, number: int) -> str:
    """A checkout or cart token: 32 hexadecimal digits."""
    return blake2b(f"{kind}/{number}".encode(), digest_size=16).hexdigest()


def home_country(currency: str) -> str:
    """Where most customers of a store with this currency live."""
    return _HOME.get(currency, "US")


class Composer:
    """Draws orders from a catalogue. One per store; holds no state between orders."""

    def __init__(self, products: list[Product], deleted: set[int], currency: str, *, taxes_included: bool) -> None:
        self.currency = currency
        self.taxes_included = taxes_included
        self.tax_rate = _TAX_RATES.get(currency, 70_000)
        self.gift_cards = [p for p in products if p.is_gift_card]
        self.goods = [(p, n in deleted) for n, p in enumerate(products) if not p.is_gift_card]
        self.units = price_units(currency)
        self.shipping_prices = [
            round(dollars and local_price(dollars, currency) / self.units) for dollars in _SHIPPING_DOLLARS
        ]

    def compose(
        self,
        rng: random.Random,
        number: int,
        child_base: int,
        name: str,
        at: Moments,
        *,
        customer_id: int | None,
        fate: int = Fate.PLAIN,
        test: bool = False,
        large: bool = False,
    ) -> Order:
        """An order and all that became of it.

        Args:
            rng: Draws everything that the other arguments leave open.
            number: The order's id.
            child_base: What its children's ids are counted from.
            name: Such as `#1001`.
            at: When things happened.
            customer_id: None for a guest.
            fate: A `Fate`.
            test: Whether it is a test order.
            large: Whether it has hundreds of lines.
        """
        draw = rng.random
        order = self.header(rng, number, child_base, name, at, customer_id, test=test)
        quantities = self._fill(rng, order, LARGE_ORDER_LINES if large else _line_count(draw()))
        discounts = self._discount(rng, order, quantities)
        ledger.place(order, quantities, discounts, self._shipping(rng, order), self._charges(rng, order))
        self._unfold(rng, order, at, fate)
        return order

    def header(
        self,
        rng: random.Random,
        number: int,
        child_base: int,
        name: str,
        at: Moments,
        customer_id: int | None,
        *,
        test: bool = False,
    ) -> Order:
        """An order with everything but lines and ledger; arguments as of `compose`."""
        draw = rng.random
        home = _HOME.get(self.currency, "US")
        country: str | None = home if draw() < 0.85 else _ABROAD[int(draw() * len(_ABROAD))]
        presentment, rate = self.currency, RATE_ONE
        if country != home and draw() < 0.8:
            presentment = _ABROAD_CURRENCIES[int(draw() * len(_ABROAD_CURRENCIES))]
            rate = self._rate_to(presentment, 0.97 + 0.06 * draw())
        in_store = draw() < 0.06
        if draw() < 0.02:
            country = None
        order = Order(
            id=number,
            child_base=child_base,
            name=name,
            created_at=at.created,
            processed_at=at.processed,
            updated_at=max(at.created, at.fulfilled, at.delivered, at.first_event, at.second_event),
            currency=self.currency,
            presentment_currency=presentment,
            presentment_rate=rate,
            taxes_included=self.taxes_included,
            tax_rate=0 if country != home and draw() < 0.5 else self.tax_rate,
            customer_id=customer_id,
            test=test,
            source_name="pos" if in_store else "web",
            has_addresses=not in_store,
            shipping_country=None if draw() < 0.02 else country,
            billing_country=country,
            cart_token=token_of("cart", number),
            checkout_token=token_of("checkout", number),
        )
        gateway = draw()
        if test:
            order.gateway = "bogus"
        elif gateway < 0.25:
            order.gateway = "paypal" if gateway < 0.18 else "manual"
        if draw() < 0.12:
            order.tags = [_TAGS[int(draw() * len(_TAGS))]]
        if at.processed != at.created:
            order.source_name, order.checkout_token, order.cart_token = "580111", None, None
            order.status_unknown = draw() < 0.5
        return order

    def _rate_to(self, currency: str, spread: float) -> int:
        if currency == self.currency:
            return RATE_ONE
        rate = RATES.get(currency, 1.0) / RATES.get(self.currency, 1.0) * spread
        return int(rate * 10 ** (decimals(currency) - decimals(self.currency)) * RATE_ONE)

    def _fill(self, rng: random.Random, order: Order, count: int) -> list[int]:
        draw = rng.random
        quantities: list[int] = []
        for number in range(1, count + 1):
            order.lines.append(self.product_line(rng, number))
            amount = draw()
            quantities.append(1 if amount < 0.72 else 2 if amount < 0.9 else 1 + int(draw() * 6))
        if self.gift_cards and draw() < 0.015:
            order.lines.append(self._gift_card(rng, len(order.lines) + 1))
            quantities.append(1)
        if draw() < 0.015:
            price = local_price(1 + 4 * draw(), self.currency)
            tip = Line(len(order.lines) + 1, "Tip", price, "TIP", requires_shipping=False, taxable=False)
            order.lines.append(tip)
            quantities.append(1)
        return quantities

    def product_line(self, rng: random.Random, number: int) -> Line:
        """A line of a random product; popular ones come more often. Deleted products leave no ids."""
        draw = rng.random
        product, deleted = self.goods[int(len(self.goods) * draw() ** 1.8)]
        variant = product.variants[int(len(product.variants) * draw())]
        return Line(
            number,
            product.title,
            variant.price,
            variant_title=None if len(product.variants) == 1 else variant.title,
            sku=variant.sku,
            vendor=product.vendor,
            taxable=draw() < 0.97,
            product_id=None if deleted else product.id,
            variant_id=None if deleted else variant.id,
        )

    def checkout_line(self, rng: random.Random, number: int) -> CheckoutLine:
        """A checkout line of a random product."""
        line = self.product_line(rng, number)
        return CheckoutLine(
            number,
            line.title,
            1 + int(rng.random() * 3),
            line.unit_price,
            variant_title=line.variant_title,
            sku=line.sku,
            product_id=line.product_id,
            variant_id=line.variant_id,
        )

    def _gift_card(self, rng: random.Random, number: int) -> Line:
        product = self.gift_cards[0]
        variant = product.variants[int(len(product.variants) * rng.random())]
        return Line(
            number,
            product.title,
            variant.price,
            "GIFT_CARD",
            variant_title=variant.title,
            sku=variant.sku,
            vendor=product.vendor,
            requires_shipping=False,
            taxable=False,
            product_id=product.id,
            variant_id=variant.id,
        )

    def _discount(self, rng: random.Random, order: Order, quantities: list[int]) -> list[int]:
        """Discounts of each line: its own, and its share of what a code takes off the whole order."""
        draw = rng.random
        nets: list[int] = []
        for position, (line, quantity) in enumerate(zip(order.lines, quantities, strict=True)):
            price = ledger.gross(order, position, quantity) if line.kind == "PRODUCT" else 0
            if price and draw() < 0.08:
                line.discount = price * (1 + int(draw() * 6)) // 20
            nets.append(price - line.discount)
        kind = draw()
        if kind >= 0.16:
            return [line.discount for line in order.lines]
        order.discount_codes = [_CODES[int(draw() * len(_CODES))]]
        if kind < 0.005:
            order.discount_codes = ["ON-THE-HOUSE", "STAFF"]
            off = sum(nets)
        elif kind < 0.05:
            off = min(sum(nets) // 2, round(local_price(5.0, self.currency) / self.units))
        else:
            off = sum(nets) * (2 + int(draw() * 4)) // 20
        shares = allocate(off, nets)
        return [line.discount + share for line, share in zip(order.lines, shares, strict=True)]

    def _shipping(self, rng: random.Random, order: Order) -> tuple[int, int] | None:
        if not order.has_addresses or all(not line.requires_shipping for line in order.lines):
            return None
        price = self.shipping_prices[int(rng.random() * len(self.shipping_prices))]
        free = "ON-THE-HOUSE" in order.discount_codes or rng.random() < 0.06
        return price, price if free else 0

    def _charges(self, rng: random.Random, order: Order) -> list[tuple[str, int]]:
        draw = rng.random
        abroad = order.presentment_currency != order.currency
        charges = []
        if abroad and draw() < 0.15:
            charges.append(("DUTY", round(local_price(3 + 20 * draw(), self.currency) / self.units)))
        if draw() < 0.004:
            charges.append(("ADDITIONAL_FEE" if draw() < 0.7 else "FEE", self.shipping_prices[1]))
        return charges

    def _unfold(self, rng: random.Random, order: Order, at: Moments, fate: int) -> None:
        draw = rng.random
        if draw() < 0.02 and order.current_total:
            ledger.decline(order, at.created)
        if fate in (Fate.AUTHORIZED, Fate.CANCELLED_UNPAID) and draw() < 0.7:
            ledger.pay(order, at.created, "AUTHORIZATION")
        elif fate == Fate.PARTIALLY_PAID:
            ledger.pay(order, at.created, amount=order.current_total // 2)
        elif fate not in (Fate.UNPAID, Fate.CANCELLED_UNPAID, Fate.AUTHORIZED):
            if at.fulfilled and draw() < 0.15 and (not at.first_event or at.fulfilled < at.first_event):
                ledger.pay(order, at.created, "AUTHORIZATION")
                ledger.pay(order, at.fulfilled, "CAPTURE", parent=len(order.transactions) - 1)
            else:
                ledger.pay(order, at.created)
        if at.first_event:
            self._event(rng, order, at, fate)
        if at.fulfilled:
            shippable = [n for n, line in enumerate(order.lines) if line.requires_shipping]
            units = sum(s.quantity or 0 for s in order.agreements[0].sales if s.line in shippable)
            if units:
                ledger.fulfill(order, at.fulfilled, units, at.delivered or None)
            if at.delivered and order.closed_at is None:
                order.closed_at = at.delivered
        for refund in order.refunds:
            if draw() < 0.02:
                refund.created_at = None

    def _event(self, rng: random.Random, order: Order, at: Moments, fate: int) -> None:
        when = at.first_event
        if fate == Fate.CANCELLED_UNPAID or fate == Fate.CANCELLED_PAID:
            ledger.cancel(order, when, _REASONS[int(rng.random() * len(_REASONS))])
        elif fate == Fate.FULL_REFUND:
            ledger.refund(order, when, ledger.remaining(order), charges=FEES)
        elif fate == Fate.SHIPPING_REFUND:
            ledger.refund(order, when, {}, charges=("SHIPPING",))
        elif fate == Fate.GOODWILL:
            ledger.refund(order, when, {}, adjustment=-(order.current_total // 10))
        elif fate in (Fate.PARTIAL_REFUND, Fate.TWO_REFUNDS):
            ledger.refund(order, when, self._some_units(rng, order))
            if at.second_event and ledger.remaining(order):
                charges = ("SHIPPING",) if rng.random() < 0.3 else ()
                ledger.refund(order, at.second_event, self._some_units(rng, order), charges=charges)
        elif fate == Fate.RESTOCKING_FEE:
            units = self._some_units(rng, order)
            ledger.refund(order, when, units, adjustment=self._fee(order, units))
        elif fate == Fate.LINE_ADDED:
            ledger.add_line(order, when, self.product_line(rng, len(order.lines) + 1), 1)
        elif fate == Fate.LINE_REMOVED:
            position = next(iter(self._some_units(rng, order)))
            ledger.remove_units(order, when, position, order.units(position))
        elif fate == Fate.EXCHANGE:
            position = next(iter(self._some_units(rng, order)))
            ledger.exchange(order, when, position, 1, self.product_line(rng, len(order.lines) + 1))
        elif fate == Fate.PRICE_CUT:
            ledger.discount_line(order, when, 0, ledger.remaining_value(order, 0) // 5)

    def _some_units(self, rng: random.Random, order: Order) -> dict[int, int]:
        """One line, rarely two, and some of its units."""
        left = ledger.remaining(order)
        positions = list(left)
        chosen = {positions[int(rng.random() * len(positions))]}
        if rng.random() < 0.2:
            chosen.add(positions[0])
        return {position: 1 + int(rng.random() * left[position]) for position in sorted(chosen)}

    def _fee(self, order: Order, units: dict[int, int]) -> int:
        """A tenth of what the returned units are worth."""
        return sum(
            ledger.remaining_value(order, position) * quantity // (10 * order.units(position))
            for position, quantity in units.items()
        )


def _line_count(drawn: float) -> int:
    for count, bound in enumerate((0.48, 0.73, 0.86, 0.94, 0.98), start=1):
        if drawn < bound:
            return count
    return 6
