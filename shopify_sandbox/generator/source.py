"""The generated store: a plan, a catalogue, and everything else drawn on demand from seeds."""

from __future__ import annotations

import random
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopify_sandbox.generator.catalog import ID_STEP, generate_catalogue
from shopify_sandbox.generator.composer import Composer, Moments, home_country, token_of
from shopify_sandbox.generator.people import generate_customer
from shopify_sandbox.generator.plan import LARGE_ORDER_EVERY, Plan, first_day
from shopify_sandbox.model.objects import Checkout, Customer, Product
from shopify_sandbox.model.order import Order
from shopify_sandbox.model.times import DAY
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.source import Columns

ORDER_BASE = 5_400_000_000_000
CUSTOMER_BASE = 7_000_000_000_000
CHECKOUT_BASE = 36_000_000_000_000
CHILD_BASE = 14_000_000_000_000
CHILDREN = 4096
"""How many ids of each kind an order reserves for its lines, sales, refunds and so on."""


def load_plan(spec: StoreSpec, folder: Path, until: int) -> Plan:
    """The plan remembered in a folder; made, and remembered, where there is none."""
    if not (folder / "created.npy").exists():
        seed = int.from_bytes(blake2b(spec.handle.encode(), digest_size=8).digest(), "big")
        fresh = folder.with_name(folder.name + ".new")
        Plan.make(spec.orders or 0, [seed, spec.seed], spec.zone, until).save(fresh)
        fresh.rename(folder)
    return Plan.load(folder)


class GeneratedSource:
    """The objects of a generated store by their position, and the columns they are found by."""

    def __init__(self, spec: StoreSpec, plan: Plan, until: int) -> None:
        self.spec = spec
        self.plan = plan
        self.seed = f"{spec.handle}/{spec.seed}"
        digest = blake2b(self.seed.encode(), digest_size=6).digest()
        self._salt = int.from_bytes(digest, "big") << 40
        self._rng = random.Random()  # noqa: S311
        opened = first_day(until)
        catalogue, deleted = generate_catalogue(spec.orders or 0, self.seed, spec.currency, opened, until)
        self.composer = Composer(catalogue, deleted, spec.currency, taxes_included=spec.prices_include_taxes)
        self.products = [product for n, product in enumerate(catalogue) if n not in deleted]
        self.opened_at = opened - 30 * DAY
        self._until = until
        placed = np.bincount(plan.customer[(plan.customer >= 0) & ~plan.test], minlength=len(plan.customer_created))
        self._orders_of_customer: NDArray[Any] = placed

    def columns(self) -> dict[str, Columns]:
        """Per kind of object, the arrays it is searched and sorted by."""
        plan = self.plan
        row = np.arange(len(plan.created), dtype=np.int64)
        customer = plan.customer.astype(np.int64)
        return {
            "Order": {
                "id": ORDER_BASE + row * ID_STEP,
                "created_at": np.array(plan.created),
                "updated_at": np.array(plan.updated),
                "processed_at": np.array(plan.processed),
                "customer_id": np.where(customer < 0, 0, CUSTOMER_BASE + customer * ID_STEP),
                "test": np.array(plan.test),
            },
            "Customer": {
                "id": CUSTOMER_BASE + np.arange(len(plan.customer_created), dtype=np.int64) * ID_STEP,
                "created_at": np.array(plan.customer_created),
                "updated_at": np.array(plan.customer_updated),
            },
            "Product": {
                name: np.array([getattr(product, name) for product in self.products], dtype=np.int64)
                for name in ("id", "created_at", "updated_at")
            },
            "AbandonedCheckout": {
                "id": CHECKOUT_BASE + np.arange(len(plan.checkout_created), dtype=np.int64) * ID_STEP,
                "created_at": np.array(plan.checkout_created),
                "updated_at": np.array(plan.checkout_updated),
            },
        }

    @staticmethod
    def child_base(order_id: int) -> int:
        """What the ids of an order's children are counted from."""
        return CHILD_BASE + (order_id - ORDER_BASE) // ID_STEP * CHILDREN

    @staticmethod
    def order_name(order_id: int) -> str:
        """The name of an order, such as `#1001`."""
        return f"#{1001 + (order_id - ORDER_BASE) // ID_STEP}"

    def _seeded(self, kind: int, position: int) -> random.Random:
        self._rng.seed(self._salt + (kind << 36) + position)
        return self._rng

    def order(self, position: int) -> Order:
        """The order at a position of the plan."""
        plan = self.plan
        number = ORDER_BASE + position * ID_STEP
        customer = int(plan.customer[position])
        at = Moments(
            int(plan.created[position]),
            int(plan.processed[position]),
            int(plan.fulfilled[position]),
            int(plan.delivered[position]),
            int(plan.first_event[position]),
            int(plan.second_event[position]),
        )
        return self.composer.compose(
            self._seeded(0, position),
            number,
            CHILD_BASE + position * CHILDREN,
            self.order_name(number),
            at,
            customer_id=None if customer < 0 else CUSTOMER_BASE + customer * ID_STEP,
            fate=int(plan.fate[position]),
            test=bool(plan.test[position]),
            large=position % LARGE_ORDER_EVERY == LARGE_ORDER_EVERY // 7,
        )

    def customer(self, position: int) -> Customer:
        """The customer at a position of the plan."""
        rng = self._seeded(1, position)
        updated = int(self.plan.customer_updated[position])
        country = home_country(self.spec.currency) if rng.random() < 0.85 else "FR"
        return generate_customer(
            rng,
            CUSTOMER_BASE + position * ID_STEP,
            int(self.plan.customer_created[position]),
            updated,
            country,
            self._rfm_group(int(self._orders_of_customer[position]), (self._until - updated) // DAY),
        )

    @staticmethod
    def _rfm_group(orders: int, days: int) -> str | None:
        """A plausible group; Shopify leaves some customers without."""
        if orders == 0:
            return "PROSPECTS" if days < 200 else None
        if orders == 1:
            return "NEW" if days < 60 else "PROMISING" if days < 120 else "ALMOST_LOST" if days < 300 else "DORMANT"
        if orders < 5:
            return "ACTIVE" if days < 60 else "NEEDS_ATTENTION" if days < 150 else "AT_RISK"
        return "CHAMPIONS" if days < 60 else "LOYAL" if days < 150 else "PREVIOUSLY_LOYAL"

    def product(self, position: int) -> Product:
        """The product at a position of the catalogue."""
        return self.products[position]

    def checkout(self, position: int) -> Checkout:
        """The abandoned checkout at a position of the plan."""
        plan = self.plan
        rng = self._seeded(2, position)
        order, customer = int(plan.checkout_order[position]), int(plan.checkout_customer[position])
        number = CHECKOUT_BASE + position * ID_STEP
        updated = int(plan.checkout_updated[position])
        checkout = Checkout(
            number,
            int(plan.checkout_created[position]),
            updated,
            token_of("checkout", number if order < 0 else ORDER_BASE + order * ID_STEP),
            self.spec.currency,
            self.spec.prices_include_taxes,
            self.composer.tax_rate,
            completed_at=None if order < 0 else updated,
            customer_id=None if customer < 0 else CUSTOMER_BASE + customer * ID_STEP,
        )
        for line_number in range(1, 2 + int(rng.random() * 3)):
            checkout.lines.append(self.composer.checkout_line(rng, line_number))
        if rng.random() < 0.1:
            checkout.discount_codes = ["WELCOME10"]
            for line in checkout.lines:
                line.discount = line.unit_price * line.quantity // self.composer.units // 10
        return checkout
