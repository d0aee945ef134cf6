"""One store: its history, what changed since, and how its objects are found, shown and changed."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shopify_sandbox.generator.catalog import ID_STEP, VARIANT_BASE
from shopify_sandbox.generator.source import GeneratedSource, load_plan
from shopify_sandbox.model.documents import gid, order_document
from shopify_sandbox.model.money import Document
from shopify_sandbox.model.objects import (
    Checkout,
    Customer,
    Product,
    checkout_document,
    checkout_from_json,
    customer_document,
    product_document,
    product_from_json,
)
from shopify_sandbox.model.order import Order, order_from_json
from shopify_sandbox.model.times import DAY, instant, iso
from shopify_sandbox.order_file.drawn import draw_file
from shopify_sandbox.order_file.source import CsvSource, load_file, load_kept
from shopify_sandbox.search.values import Clock
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.overlay import Overlay
from shopify_sandbox.state.source import Source
from shopify_sandbox.state.table import Rows, Table

VISIBLE_DAYS = 60
"""Without `read_all_orders`, orders created longer ago are not visible."""

_FIRST_ID = 5_400_000_000_000

_FROM_JSON: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Order": order_from_json,
    "Customer": lambda data: Customer(**data),
    "Product": product_from_json,
    "AbandonedCheckout": checkout_from_json,
}


class Store:
    """A store in one process. Its lock is held while a request works on it.

    The server and its bulk workers each have a `Store` over the same folder: workers only read, and see what was
    committed when they opened it.
    """

    def __init__(self, spec: StoreSpec, folder: Path, *, snapshot: bool = False) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.overlay = Overlay(folder / "store.sqlite3") if snapshot else self._open(spec)
        if snapshot:
            self.overlay.begin()
        self.spec = spec.ending(datetime.fromtimestamp(self.overlay.setting("until"), UTC))
        self.until: int = self.overlay.setting("until")
        self.source = self._source(snapshot=snapshot)
        self.tables: dict[str, Table] = {}
        self.deleted: set[str] = set()
        """Global ids that objects may still refer to."""
        self._load()

    def _load(self) -> None:
        """Build the tables from the source and what is remembered."""
        self.tables = {kind: Table(columns) for kind, columns in self.source.columns().items()}
        self.deleted.clear()
        for kind, number, content in self.overlay.objects():
            self._take(kind, number, None if content is None else _FROM_JSON[kind](content))

    def _open(self, spec: StoreSpec) -> Overlay:
        """The remembered state of this spec, or a fresh one where another spec was remembered."""
        overlay = Overlay(self.folder / "store.sqlite3")
        if overlay.setting("fingerprint") not in (None, spec.fingerprint):
            overlay.close()
            shutil.rmtree(self.folder)
            overlay = Overlay(self.folder / "store.sqlite3")
        if overlay.setting("fingerprint") is None:
            overlay.set("until", instant(spec.until) if spec.until else int(time.time()))
            overlay.set("fingerprint", spec.fingerprint)
        return overlay

    def close(self) -> None:
        """Close what is remembered."""
        self.overlay.close()

    def _source(self, *, snapshot: bool) -> Source:
        if self.spec.orders is not None:
            return GeneratedSource(self.spec, load_plan(self.spec, self.folder / "plan", self.until), self.until)
        folder = self.folder / "csv"
        if snapshot:
            return CsvSource(self.spec, load_kept(folder, self.overlay), self.overlay, self.now())
        path = self.spec.orders_csv or draw_file(self.spec, self.folder, self.until)
        return CsvSource(self.spec, load_file(path, self.spec.zone, folder, self.overlay), self.overlay, self.now())

    # -- facts of the shop

    @property
    def handle(self) -> str:
        """The store's handle, `acme` of `acme.myshopify.com`."""
        return self.spec.handle

    @property
    def handles(self) -> list[str]:
        """All handles that the store has had, the one that it has now last; the former ones lead to it."""
        handles: list[str] = self.overlay.setting("handles", [self.handle])
        return handles

    @cached_property
    def shop_id(self) -> int:
        """The number of the shop's gid."""
        digest = hashlib.sha256(self.handle.encode()).digest()
        return 60_000_000_000 + int.from_bytes(digest[:8], "big") % 10_000_000_000

    def shop_document(self) -> Document:
        """The shop as the Admin API shows it."""
        return {
            "__typename": "Shop",
            "id": gid("Shop", self.shop_id),
            "name": self.handle.replace("-", " ").title(),
            "myshopifyDomain": f"{self.handle}.myshopify.com",
            "currencyCode": self.spec.currency,
            "ianaTimezone": self.spec.timezone,
            "taxesIncluded": self.spec.prices_include_taxes,
            "createdAt": iso(self.source.opened_at),
            "plan": {
                "__typename": "ShopPlan",
                "publicDisplayName": self.plan,
                "partnerDevelopment": False,
                "shopifyPlus": self.plan in ("Plus", "Enterprise"),
            },
            **self.overlay.setting("shop", {}),
        }

    def now(self) -> int:
        """The store's clock, in seconds since 1970: real time unless it was set."""
        fixed: int | None = self.overlay.setting("clock_fixed")
        offset: int = self.overlay.setting("clock_offset", 0)
        return int(time.time()) + offset if fixed is None else fixed

    def clock(self) -> Clock:
        """How written times are read."""
        return Clock(self.spec.zone, self.now())

    @property
    def scopes(self) -> list[str]:
        """What the token may see."""
        return list(self.overlay.setting("scopes", self.spec.scopes))

    @property
    def sees_all_orders(self) -> bool:
        """Whether the token sees orders of more than the last 60 days; it may be granted the scope and still not."""
        return "read_all_orders" in self.scopes and not self.overlay.setting("withholds_orders", False)

    @property
    def plan(self) -> str:
        """The shop's plan, which sets how fast API points are restored."""
        return str(self.overlay.setting("plan", self.spec.plan))

    def token_is_valid(self, token: str | None) -> bool:
        """Whether a request may come in."""
        return token is not None and token in self.overlay.setting("tokens", [self.spec.token])

    # -- objects

    def exists(self, kind: str, number: int) -> bool:
        """Whether there is such an object (visible or not)."""
        if kind == "ProductVariant":
            return number in self._product_of_variant
        return kind in self.tables and self.tables[kind].row(number) is not None

    def visible(self, kind: str, rows: Rows) -> Rows:
        """Those of some rows that exist and that the token may see."""
        table = self.tables[kind]
        seen = table.alive[rows]
        if kind == "Order" and not self.sees_all_orders:
            seen = seen & (table.columns["created_at"][rows] >= self.now() - VISIBLE_DAYS * DAY)
        return rows[seen]

    def object(self, kind: str, row: int) -> Any:
        """The object in a row, to be changed and given to `save`."""
        table = self.tables[kind]
        if table.changed[row]:
            return _FROM_JSON[kind](self.overlay.object(kind, int(table.columns["id"][row])))
        return self._read(kind, row)

    def _read(self, kind: str, row: int) -> Any:
        source = self.source
        if kind == "Order":
            return source.order(row)
        if kind == "Customer":
            return source.customer(row)
        return source.product(row) if kind == "Product" else source.checkout(row)

    def document(self, kind: str, row: int) -> Document:
        """The object in a row as the Admin API shows it."""
        found = self.object(kind, row)
        if kind == "Order":
            return order_document(found)
        if kind == "Customer":
            return customer_document(found, self.orders_count(found.id))
        if kind == "Product":
            return product_document(found, self.spec.currency)
        return checkout_document(found, self.shop_id, self.handle)

    def find(self, kind: str, number: int) -> Document | None:
        """The document of an object by its id; None where there is none that the token may see."""
        if kind == "ProductVariant":
            return self._variant(number)
        table = self.tables.get(kind)
        row = None if table is None else table.row(number)
        if row is None or not len(self.visible(kind, np.array([row]))):
            return None
        return self.document(kind, row)

    @cached_property
    def _product_of_variant(self) -> dict[int, int]:
        rows = np.flatnonzero(self.tables["Product"].alive)
        products: list[Product] = [self.object("Product", int(row)) for row in rows]
        return {variant.id: product.id for product in products for variant in product.variants}

    def _variant(self, number: int) -> Document | None:
        product = self._product_of_variant.get(number)
        document = None if product is None else self.find("Product", product)
        variants: list[Document] = document["variants"] if document else []
        return next((variant for variant in variants if variant["id"].endswith(f"/{number}")), None)

    def orders_count(self, customer: int) -> int:
        """How many orders a customer has; deleted and test orders do not count."""
        table = self.tables["Order"]
        return int((~table.columns["test"][table.having("customer_id", customer)]).sum())

    # -- changes

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Everything saved inside happens together, or not at all."""
        with self.lock:
            self.overlay.begin()
            try:
                yield
            except BaseException:
                self.overlay.rollback()
                self._load()
                raise
            self.overlay.commit()

    def save(self, kind: str, content: Order | Customer | Product | Checkout) -> None:
        """Remember a changed or new object."""
        self.overlay.put(kind, content.id, content)
        self._take(kind, content.id, content)

    def delete(self, kind: str, number: int) -> None:
        """Record that an object was deleted."""
        self.overlay.put(kind, number, None)
        self._take(kind, number, None)

    def delete_product(self, product: Product) -> None:
        """Record that a product was deleted, and its variants with it."""
        for variant in product.variants:
            self.overlay.put("ProductVariant", variant.id, None)
            self.deleted.add(gid("ProductVariant", variant.id))
        self.delete("Product", product.id)

    def _take(self, kind: str, number: int, content: Any) -> None:
        """Bring the columns up to date with an object of the overlay."""
        if content is None:
            self.deleted.add(gid(kind, number))
        if kind in ("Product", "ProductVariant"):
            self.__dict__.pop("_product_of_variant", None)
        table = self.tables.get(kind)
        if table is None:
            return
        if content is None:
            table.remove(number)
            return
        values: dict[str, int | bool] = {
            "id": number,
            "created_at": content.created_at,
            "updated_at": content.updated_at,
        }
        if kind == "Order":
            values |= {
                "processed_at": content.processed_at,
                "customer_id": content.customer_id or 0,
                "test": content.test,
            }
        table.put(number, values)

    def new_id(self, kind: str) -> int:
        """An id that is higher than all of its kind."""
        return int(self.tables[kind].columns["id"].max(initial=_FIRST_ID)) + ID_STEP

    def new_variant_id(self) -> int:
        """A variant's id that is higher than all."""
        return max(self._product_of_variant, default=VARIANT_BASE) + ID_STEP

    def rng(self, number: int) -> random.Random:
        """Draws what a change leaves open; equal ids draw equally."""
        return random.Random(f"{self.handle}/{number}")  # noqa: S311
