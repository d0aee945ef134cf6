"""What a store's history comes from: a source knows objects by their position, and the columns to find them by."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from shopify_sandbox.generator.composer import Composer
from shopify_sandbox.model.objects import Checkout, Customer, Product
from shopify_sandbox.model.order import Order

Columns = dict[str, NDArray[Any]]
"""Arrays of equal length; each has at least `id`, `created_at` and `updated_at` (seconds since 1970)."""


class Source(Protocol):
    """The history of one store, unchanging while the server runs."""

    opened_at: int
    """When the shop opened, in seconds since 1970."""

    @property
    def composer(self) -> Composer:
        """Draws what is bought after history ended."""

    def columns(self) -> dict[str, Columns]:
        """Per kind (Order, Customer, Product, AbandonedCheckout), fresh arrays, which the caller may change."""

    def child_base(self, order_id: int) -> int:
        """What the ids of an order's children are counted from."""

    def order_name(self, order_id: int) -> str:
        """The name of an order."""

    def order(self, position: int) -> Order:
        """The order at a position of the columns."""

    def customer(self, position: int) -> Customer:
        """The customer at a position of the columns."""

    def product(self, position: int) -> Product:
        """The product at a position of the columns."""

    def checkout(self, position: int) -> Checkout:
        """The abandoned checkout at a position of the columns."""
