"""A store read from a file of order lines: products by SKU, customers, and orders with their ledger.

The store remembers what it last served of each object, so that an edited file is an honest way to change it: an
order whose lines changed was updated when the server is started on the file, one that vanished is deleted.
"""

from __future__ import annotations

import shutil
from collections import Counter
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from shopify_sandbox.generator.catalog import ID_STEP, PRODUCT_BASE, VARIANT_BASE, slug
from shopify_sandbox.generator.composer import Composer
from shopify_sandbox.model import ledger
from shopify_sandbox.model.money import RATE_ONE, divide, price_units
from shopify_sandbox.model.objects import Checkout, Customer, Product, Variant
from shopify_sandbox.model.order import Line, Order
from shopify_sandbox.order_file.countries import country_code
from shopify_sandbox.order_file.reader import Array, OrderFile, number_of
from shopify_sandbox.order_file.served import text_hash, update_times
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.overlay import Overlay
from shopify_sandbox.state.source import Columns

CHILDREN = 4096
MAX_CUSTOMER_ID = 2**62


def load_file(path: Path, zone: ZoneInfo, folder: Path, overlay: Overlay) -> OrderFile:
    """The file's orders; read again only when the file changed.

    Raises:
        CsvError: In one sentence, naming the line.
        OSError: If the file cannot be read.
    """
    stat = path.stat()
    kept = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
    if overlay.setting("csv") != kept:
        OrderFile.read(path, zone).save(folder / kept)
        for old in folder.glob("*"):
            if old.name != kept:
                shutil.rmtree(old)
        overlay.set("csv", kept)
    return load_kept(folder, overlay)


def load_kept(folder: Path, overlay: Overlay) -> OrderFile:
    """The orders that are being served, whatever became of the file since."""
    return OrderFile.load(folder / overlay.setting("csv"))


class CsvSource:
    """The objects of a store read from a file, by their position, and the columns they are found by."""

    def __init__(self, spec: StoreSpec, file: OrderFile, overlay: Overlay, now: int) -> None:
        self.spec = spec
        self.file = file
        self.opened_at = int(file.ordered_at[0]) if len(file.ordered_at) else now
        self._first_sold, self._last_sold = self._sold()
        self._customer_ids = np.array([number_of(name, MAX_CUSTOMER_ID) for name in file.customers], dtype=np.int64)
        buyer = np.append(self._customer_ids, 0)[file.customer]
        self._titles = self._product_titles()
        self._sku_numbers: list[int] = self._number_skus(overlay)
        self._order_columns: Columns = {
            "id": np.array(file.order_id),
            "created_at": np.array(file.ordered_at),
            "updated_at": np.array(file.ordered_at),
            "processed_at": np.array(file.ordered_at),
            "customer_id": buyer,
            "test": np.zeros(len(buyer), dtype=np.bool_),
        }
        self._customer_columns = self._buyers(buyer)
        self._product_columns: Columns = {
            "id": PRODUCT_BASE + np.array(self._sku_numbers, dtype=np.int64) * ID_STEP,
            "created_at": self._first_sold,
            "updated_at": self._first_sold.copy(),
        }
        self._compare_with_served(overlay, now)

    def _sold(self) -> tuple[Array, Array]:
        """When each SKU was sold first, and the position of the line where it was sold last."""
        file = self.file
        order_of_line = np.repeat(np.arange(len(file.order_id)), np.diff(file.first_line))
        sold = np.flatnonzero(file.sku >= 0)
        skus = file.sku[sold]
        first = np.full(len(file.skus), 2**62, dtype=np.int64)
        np.minimum.at(first, skus, file.ordered_at[order_of_line[sold]])
        last = np.zeros(len(file.skus), dtype=np.int64)
        np.maximum.at(last, skus, sold)
        return first, last

    def _product_titles(self) -> list[str]:
        """The most frequent description of each SKU; among equals, the one that came first in the file."""
        file = self.file
        pairs, counts = np.unique(
            np.stack([file.sku[file.sku >= 0], file.description[file.sku >= 0]]), axis=1, return_counts=True
        )
        titles = [""] * len(file.skus)
        best = Counter[int]()
        for sku, description, count in zip(pairs[0].tolist(), pairs[1].tolist(), counts.tolist(), strict=True):
            if count > best[sku]:
                best[sku] = count
                titles[sku] = file.descriptions[description]
        return titles

    def _number_skus(self, overlay: Overlay) -> list[int]:
        """Numbers in SKU order; a SKU keeps its number when the file gains others."""
        known: dict[str, int] = overlay.setting("sku_numbers", {})
        free = max(known.values(), default=-1) + 1
        fresh = sorted(set(self.file.skus) - known.keys())
        if fresh:
            known |= {sku: free + offset for offset, sku in enumerate(fresh)}
            overlay.set("sku_numbers", known)
        return [known[sku] for sku in self.file.skus]

    def _buyers(self, buyer: Array) -> Columns:
        """Customers with their first and last order, and the position of the last."""
        known = np.flatnonzero(buyer)
        ids, first = np.unique(buyer[known], return_index=True)
        _, last_from_end = np.unique(buyer[known][::-1], return_index=True)
        self._last_order = known[len(known) - 1 - last_from_end]
        ordered = self.file.ordered_at
        return {"id": ids, "created_at": ordered[known[first]], "updated_at": ordered[self._last_order]}

    def _compare_with_served(self, overlay: Overlay, now: int) -> None:
        """What was served and is the same keeps its time; what changed since is updated now, its customer too."""
        orders = self._order_columns
        no_ids: set[int] = set()
        stale = update_times(overlay, "Order", orders, self.file.fingerprint, orders["customer_id"], no_ids, now)
        customers = self._customer_columns
        update_times(overlay, "Customer", customers, np.zeros_like(customers["id"]), customers["id"], stale, now)
        prices = self.file.price[self._last_sold].tolist()
        hashes = [text_hash(f"{title}/{price}") for title, price in zip(self._titles, prices, strict=True)]
        products = self._product_columns
        update_times(overlay, "Product", products, np.array(hashes, dtype=np.uint64), products["id"], no_ids, now)

    def columns(self) -> dict[str, Columns]:
        """Per kind of object, the arrays it is searched and sorted by."""
        nothing = np.zeros(0, dtype=np.int64)
        columns = {
            "Order": self._order_columns,
            "Customer": self._customer_columns,
            "Product": self._product_columns,
            "AbandonedCheckout": {"id": nothing, "created_at": nothing, "updated_at": nothing},
        }
        return {kind: {name: array.copy() for name, array in of.items()} for kind, of in columns.items()}

    @staticmethod
    def child_base(order_id: int) -> int:
        """What the ids of an order's children are counted from."""
        return order_id * CHILDREN

    @staticmethod
    def order_name(order_id: int) -> str:
        """The name of an order that is not from the file."""
        return f"#{order_id}"

    @cached_property
    def composer(self) -> Composer:
        """Draws orders of the file's products, as plain as the file's own."""
        products = [self.product(position) for position in range(len(self.file.skus))]
        composer = Composer(products, set(), self.spec.currency, taxes_included=self.spec.prices_include_taxes)
        composer.tax_rate = 0
        return composer

    def order(self, position: int) -> Order:
        """An order: paid and fulfilled when it was placed, without tax, shipping or discount."""
        file = self.file
        number, at = int(file.order_id[position]), int(file.ordered_at[position])
        code = country_code(file.countries[file.country[position]])
        customer = int(self._order_columns["customer_id"][position])
        order = Order(
            id=number,
            child_base=self.child_base(number),
            name=f"#{file.names[file.order_name[position]]}",
            created_at=at,
            processed_at=at,
            updated_at=int(self._order_columns["updated_at"][position]),
            currency=self.spec.currency,
            presentment_currency=self.spec.currency,
            presentment_rate=RATE_ONE,
            taxes_included=self.spec.prices_include_taxes,
            tax_rate=0,
            customer_id=customer or None,
            gateway="manual",
            shipping_country=code,
            billing_country=code,
        )
        first, after = int(file.first_line[position]), int(file.first_line[position + 1])
        quantities = file.quantity[first:after].tolist()
        prices = file.price[first:after].tolist()
        order.lines = [
            Line(
                number=line_number,
                title=file.descriptions[description],
                unit_price=price,
                sku=None if sku < 0 else file.skus[sku],
                taxable=False,
                product_id=None if sku < 0 else PRODUCT_BASE + self._sku_numbers[sku] * ID_STEP,
                variant_id=None if sku < 0 else VARIANT_BASE + self._sku_numbers[sku] * ID_STEP,
            )
            for line_number, description, price, sku in zip(
                file.line_number[first:after].tolist(),
                file.description[first:after].tolist(),
                prices,
                file.sku[first:after].tolist(),
                strict=True,
            )
        ]
        ledger.place(order, quantities, [0] * len(quantities))
        self._round_by_order(order, sum(q * p for q, p in zip(quantities, prices, strict=True)))
        ledger.pay(order, at)
        ledger.fulfill(order, at, sum(quantities))
        order.closed_at = at
        return order

    def _round_by_order(self, order: Order, exact: int) -> None:
        """Amounts are rounded by order: what rounding each line leaves over goes on the largest."""
        sales = order.agreements[0].sales
        left_over = divide(exact, price_units(order.currency)) - order.current_total
        if left_over:
            max(sales, key=lambda sale: sale.amount).amount += left_over

    def customer(self, position: int) -> Customer:
        """A customer, of whom the file tells no more than an id and a country."""
        columns = self._customer_columns
        last = int(self._last_order[position])
        return Customer(
            int(columns["id"][position]),
            int(columns["created_at"][position]),
            int(columns["updated_at"][position]),
            has_address=True,
            country=country_code(self.file.countries[self.file.country[last]]),
        )

    def product(self, position: int) -> Product:
        """A product: a SKU, with its most frequent description and its latest price."""
        sku, number = self.file.skus[position], self._sku_numbers[position]
        created = int(self._product_columns["created_at"][position])
        updated = int(self._product_columns["updated_at"][position])
        price = int(self.file.price[self._last_sold[position]])
        variant = Variant(VARIANT_BASE + number * ID_STEP, "Default Title", sku, None, price, None, created, updated)
        return Product(
            PRODUCT_BASE + number * ID_STEP,
            self._titles[position],
            slug(f"{self._titles[position]} {sku}", number),
            "",
            "",
            created,
            updated,
            created,
            variants=[variant],
        )

    def checkout(self, position: int) -> Checkout:
        """A file has no checkouts."""
        raise IndexError(position)
