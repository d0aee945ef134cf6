"""A small client for a sandbox's control endpoints: what tests and the demo do to a store."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 120


class ControlError(Exception):
    """The sandbox refused; the message is its own sentence."""


class SandboxControl:
    """The control endpoints of one server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def stores(self) -> list[dict[str, Any]]:
        """Handle, api_url, token, currency, timezone and orders of each store."""
        listing: list[dict[str, Any]] = _content(requests.get(f"{self.base_url}/", timeout=TIMEOUT_SECONDS))
        return listing

    def store(self, handle: str) -> StoreControl:
        """The controls of one store."""
        return StoreControl(self.base_url, handle)


class StoreControl:
    """The control endpoints of one store. Every change returns the ids it touched, by kind of object."""

    def __init__(self, base_url: str, handle: str) -> None:
        self.api_url = f"{base_url}/{handle}"

    def post(self, action: str, **options: Any) -> Any:
        """Call an endpoint; options that are None are left out.

        Raises:
            ControlError: If the sandbox refuses.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return _content(requests.post(f"{self.api_url}/sandbox/{action}", json=given, timeout=TIMEOUT_SECONDS))

    def get(self, name: str, **options: Any) -> Any:
        """Read an endpoint."""
        return _content(requests.get(f"{self.api_url}/sandbox/{name}", params=options, timeout=TIMEOUT_SECONDS))

    # -- what goes wrong

    def fault(self, kind: str, **options: Any) -> None:
        """Order a fault; `faults.Faults` says which there are and what they take."""
        self.post("faults", faults=[{"kind": kind, **options}])

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.post("faults", clear=True)

    def set_tokens(self, *tokens: str) -> None:
        """Exactly these access tokens are valid from now on; none revokes all."""
        self.post("tokens", tokens=list(tokens))

    def set_scopes(self, *scopes: str) -> None:
        """The access scopes of all tokens."""
        self.post("scopes", scopes=list(scopes))

    def set_plan(self, plan: str) -> None:
        """The shop's plan (Standard, Advanced, Plus, Enterprise), with a full cost bucket."""
        self.post("plan", plan=plan)

    def set_latency(self, seconds: float) -> None:
        """How long every API answer takes at least."""
        self.post("latency", seconds=seconds)

    def set_clock(self, *, at: str | None = None, offset_seconds: int | None = None) -> None:
        """Fix the store's clock at an ISO time, or let it run with an offset; without either, real time."""
        self.post("clock", at=at, offset_seconds=offset_seconds)

    # -- what happens in the store

    def place_order(self, **options: Any) -> dict[str, list[int]]:
        """A new order: `customer_id` (or `guest`), `lines` of `{variant_id|sku, quantity, price, discount}`, …"""
        return self._change("place_order", options)

    def edit_order(self, order_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Edit an order: `add` a line, `remove` or `set_quantity` of one, or `discount` it."""
        return self._change("edit_order", {"order_id": order_id, **options})

    def refund(self, order_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Refund `lines` of `{line_id, quantity}` (default: everything), `shipping`, `adjustment`."""
        return self._change("refund", {"order_id": order_id, **options})

    def cancel_order(self, order_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Cancel an order, for a `reason`."""
        return self._change("cancel_order", {"order_id": order_id, **options})

    def delete_order(self, order_id: int | None = None) -> dict[str, list[int]]:
        """Delete an order."""
        return self._change("delete_order", {"order_id": order_id})

    def update_order(self, order_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Change an order's `tags`, `source_name` or `test`."""
        return self._change("update_order", {"order_id": order_id, **options})

    def create_customer(self, **options: Any) -> dict[str, list[int]]:
        """A new customer with the given fields."""
        return self._change("create_customer", options)

    def update_customer(self, customer_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Change a customer's fields."""
        return self._change("update_customer", {"customer_id": customer_id, **options})

    def delete_customer(self, customer_id: int | None = None) -> dict[str, list[int]]:
        """Delete a customer who has no orders."""
        return self._change("delete_customer", {"customer_id": customer_id})

    def merge_customers(self, winner_id: int, loser_id: int) -> dict[str, list[int]]:
        """Merge a customer into another: the orders move, the loser is gone."""
        return self._change("merge_customers", {"winner_id": winner_id, "loser_id": loser_id})

    def create_product(self, **options: Any) -> dict[str, list[int]]:
        """A new product: `title`, `price`, `sku`, …"""
        return self._change("create_product", options)

    def update_product(self, product_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """Change a product's fields, or the `price` of its first variant."""
        return self._change("update_product", {"product_id": product_id, **options})

    def delete_product(self, product_id: int | None = None) -> dict[str, list[int]]:
        """Delete a product; lines of orders lose their reference to it."""
        return self._change("delete_product", {"product_id": product_id})

    def start_checkout(self, **options: Any) -> dict[str, list[int]]:
        """A new abandoned checkout."""
        return self._change("start_checkout", options)

    def update_checkout(self, checkout_id: int | None = None, **options: Any) -> dict[str, list[int]]:
        """One more line in a checkout."""
        return self._change("update_checkout", {"checkout_id": checkout_id, **options})

    def complete_checkout(self, checkout_id: int | None = None) -> dict[str, list[int]]:
        """Complete a checkout: it becomes an order, linked by its token."""
        return self._change("complete_checkout", {"checkout_id": checkout_id})

    def _change(self, action: str, options: dict[str, Any]) -> dict[str, list[int]]:
        touched: dict[str, list[int]] = self.post(action, **options)
        return touched

    # -- what is known

    def stats(self) -> dict[str, Any]:
        """Requests, operations by name, throttled answers, points used, bulk operations, downloads."""
        counted: dict[str, Any] = self.get("stats")
        return counted

    def reset_stats(self) -> None:
        """Count from zero."""
        self.post("stats/reset")

    def report(self, start: str, end: str, by: str = "day") -> list[dict[str, Any]]:
        """The store's own sales report: ten measures and orders, from a day to a day, by day or month."""
        rows: list[dict[str, Any]] = self.get("report", **{"from": start, "to": end, "by": by})
        return rows


def _content(response: requests.Response) -> Any:
    if response.status_code >= 400:
        try:
            sentence = response.json()["error"]
        except (ValueError, KeyError):
            sentence = f"HTTP {response.status_code}: {response.text[:200]}"
        raise ControlError(sentence)
    return response.json()
