"""A small client for a sandbox's control endpoints: what tests and the demo do to a store."""

from __future__ import annotations

from typing import Any, Literal

import requests

TIMEOUT_SECONDS = 120

Touched = dict[str, list[int]]
"""The ids that a change touched, by kind: orders, customers, products, checkouts."""

FaultKind = Literal[
    "throttled",
    "status",
    "reset",
    "hang",
    "internal_error",
    "timeout",
    "access_denied",
    "bulk_fail",
    "bulk_expire",
    "bulk_stuck",
    "bulk_truncate",
    "bulk_reset",
    "bulk_malformed",
    "refuse_ledger",
    "bulk_slots",
]


class ControlError(Exception):
    """The sandbox refused; the message is its own sentence."""


class SandboxControl:
    """The control endpoints of one server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def stores(self) -> list[dict[str, Any]]:
        """Handle, api_url, token, currency, timezone and orders of each store."""
        listing: list[dict[str, Any]] = _content("GET", f"{self.base_url}/")
        return listing

    def store(self, handle: str) -> StoreControl:
        """The controls of one store."""
        return StoreControl(self.base_url, handle)


class StoreControl:
    """The control endpoints of one store. Every change returns the ids it touched, by kind of object."""

    def __init__(self, base_url: str, handle: str) -> None:
        self.api_url = f"{base_url}/{handle}"

    def post(self, action: str, **options: Any) -> Any:
        """Call an endpoint.

        Raises:
            ControlError: If the sandbox refuses.
        """
        return _content("POST", f"{self.api_url}/sandbox/{action}", json=options)

    def get(self, name: str, **options: Any) -> Any:
        """Read an endpoint."""
        return _content("GET", f"{self.api_url}/sandbox/{name}", params=options)

    # -- what goes wrong

    def fault(
        self,
        kind: FaultKind,
        *,
        count: int | None = None,
        operation: str | None = None,
        connection: str | None = None,
        executed: bool | None = None,
        status: int | None = None,
        retry_after: str | None = None,
        seconds: float | None = None,
        field: str | None = None,
        scope: str | None = None,
        code: str | None = None,
        bytes: int | None = None,
        times: int | None = None,
        line: int | None = None,
        slots: int | None = None,
        above: int | None = None,
    ) -> None:
        """Order a fault; `controls.faults.Faults` says what each kind does and takes.

        Args:
            kind: What goes wrong.
            count: With how many requests (or bulk operations); once by default.
            operation: Only with GraphQL operations of this name (`OrdersPage`), or requests for tokens
                (`AuthorizationCode`, `RefreshToken`, `ClientCredentials`).
            connection: Only with bulk operations that read this connection (`orders`).
            executed: Whether a request is carried out before its connection drops (`reset`, `hang`).
            status: The HTTP status (`status`).
            retry_after: The header of that name, with status 429.
            seconds: How long no answer comes (`hang`).
            field: The field that is denied (`access_denied`).
            scope: The scope it lacks.
            code: The error code of the operation (`bulk_fail`).
            bytes: How many of them arrive (`bulk_truncate`, `bulk_reset`).
            times: How often a download drops (`bulk_reset`).
            line: The number of the garbled line (`bulk_malformed`).
            slots: How many are taken (`bulk_slots`); 0 frees them.
            above: Only requests for more objects than that time out (`timeout`).

        Raises:
            ControlError: For what the kind does not take.
        """
        self.post("faults", faults=[_given(locals())])

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.post("faults", clear=True)

    def waiting_faults(self) -> list[dict[str, Any]]:
        """The faults that were ordered and have not happened yet."""
        waiting: list[dict[str, Any]] = self.post("faults")["waiting"]
        return waiting

    def set_tokens(self, *tokens: str) -> None:
        """Exactly these access tokens are valid from now on; none revokes all."""
        self.post("tokens", tokens=list(tokens))

    def set_scopes(self, *scopes: str) -> None:
        """The access scopes of all tokens."""
        self.post("scopes", scopes=list(scopes))

    def withhold_orders(self, *, withhold: bool = True) -> None:
        """Whether orders of more than 60 days are hidden even from a token that is granted `read_all_orders`."""
        self.post("orders/withhold", withhold=withhold)

    def set_app(self, client_id: str, client_secret: str) -> None:
        """The app that OAuth knows, in place of the sandbox's own."""
        self.post("oauth", app={"client_id": client_id, "client_secret": client_secret})

    def refuse_app(self, *, refuse: bool = True) -> None:
        """Whether the merchant declines the app."""
        self.post("oauth", refuse=refuse)

    def expire_tokens(self) -> None:
        """The access tokens of OAuth have ended; refresh tokens stay."""
        self.post("oauth", expire=True)

    def revoke_grants(self) -> None:
        """No token that OAuth brought is worth anything, as after the app was uninstalled."""
        self.post("oauth", revoke=True)

    def set_plan(self, plan: str) -> None:
        """The shop's plan (Standard, Advanced, Plus, Enterprise), with a full cost bucket."""
        self.post("plan", plan=plan)

    def set_latency(self, seconds: float) -> None:
        """How long every API answer takes at least."""
        self.post("latency", seconds=seconds)

    def set_clock(self, *, at: str | None = None, offset_seconds: int | None = None) -> None:
        """Fix the store's clock at an ISO time, or let it run with an offset; without either, real time."""
        self.post("clock", **_given({"at": at, "offset_seconds": offset_seconds}))

    def send_webhooks(
        self,
        url: str,
        secret: str,
        *,
        duplicates: float | None = None,
        disorder: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Send webhooks of whatever happens from now on; `webhooks.sender.Subscription` says what is meant."""
        self.post("webhooks", **_given(locals()))

    def webhooks(self) -> dict[str, int]:
        """How many deliveries are waiting, answered, refused and given up."""
        counts: dict[str, int] = self.post("webhooks")
        return counts

    def drop_subscriptions(self, topic: str | None = None) -> int:
        """Delete the subscriptions of a topic (`orders/create`), or all, as Shopify does after failures."""
        dropped: int = self.post("webhooks/drop", topic=topic)["dropped"]
        return dropped

    # -- what happens in the store: see `controls/changes` for what is chosen where an option is left open

    def place_order(
        self,
        *,
        customer_id: int | None = None,
        new_customer: bool | None = None,
        guest: bool | None = None,
        lines: list[dict[str, Any]] | None = None,
        shipping: str | None = None,
        discount_codes: list[str] | None = None,
        tags: list[str] | None = None,
        processed_at: str | None = None,
        test: bool | None = None,
        paid: bool | None = None,
        fulfilled: bool | None = None,
        cart_token: str | None = None,
    ) -> Touched:
        """A new order; `lines` are of `{variant_id or sku, quantity, price, discount, title}`, else drawn."""
        return self._change("place_order", _given(locals()))

    def edit_order(
        self,
        order_id: int | None = None,
        *,
        add: dict[str, Any] | None = None,
        remove: int | bool | None = None,
        set_quantity: dict[str, Any] | None = None,
        discount: dict[str, Any] | None = None,
    ) -> Touched:
        """Edit an order: `add` a line, `remove` one (its id, or true), `set_quantity` or `discount` of one."""
        return self._change("edit_order", _given(locals()))

    def refund(
        self,
        order_id: int | None = None,
        *,
        lines: list[dict[str, Any]] | None = None,
        partial: bool | None = None,
        shipping: bool | None = None,
        adjustment: str | None = None,
    ) -> Touched:
        """Refund `lines` of `{line_id, quantity}`, one unit (`partial`) or all, less an `adjustment`."""
        return self._change("refund", _given(locals()))

    def cancel_order(self, order_id: int | None = None, *, reason: str | None = None) -> Touched:
        """Cancel an order."""
        return self._change("cancel_order", _given(locals()))

    def delete_order(self, order_id: int | None = None) -> Touched:
        """Delete an order."""
        return self._change("delete_order", _given(locals()))

    def update_order(
        self,
        order_id: int | None = None,
        *,
        tags: list[str] | None = None,
        source_name: str | None = None,
        test: bool | None = None,
    ) -> Touched:
        """Change these fields of an order."""
        return self._change("update_order", _given(locals()))

    def create_customer(self, **fields: Any) -> Touched:
        """A new customer, with the fields of `update_customer`."""
        return self._change("create_customer", fields)

    def update_customer(
        self,
        customer_id: int | None = None,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        country: str | None = None,
        locale: str | None = None,
        state: str | None = None,
        tags: list[str] | None = None,
    ) -> Touched:
        """Change these fields of a customer."""
        return self._change("update_customer", _given(locals()))

    def delete_customer(self, customer_id: int | None = None) -> Touched:
        """Delete a customer who has no orders."""
        return self._change("delete_customer", _given(locals()))

    def merge_customers(self, winner_id: int, loser_id: int, *, touch_orders: bool | None = None) -> Touched:
        """Merge a customer into another: the orders move, the loser is deleted."""
        return self._change("merge_customers", _given(locals()))

    def create_product(
        self, *, title: str | None = None, price: str | None = None, sku: str | None = None, **fields: Any
    ) -> Touched:
        """A new product of one variant, with the fields of `update_product` besides."""
        return self._change("create_product", fields | _given({"title": title, "price": price, "sku": sku}))

    def update_product(
        self,
        product_id: int | None = None,
        *,
        title: str | None = None,
        vendor: str | None = None,
        product_type: str | None = None,
        status: str | None = None,
        tags: list[str] | None = None,
        price: str | None = None,
    ) -> Touched:
        """Change these fields of a product, or the `price` of its first variant."""
        return self._change("update_product", _given(locals()))

    def delete_product(self, product_id: int | None = None) -> Touched:
        """Delete a product; lines of orders lose their reference to it."""
        return self._change("delete_product", _given(locals()))

    def start_checkout(
        self,
        *,
        customer_id: int | None = None,
        new_customer: bool | None = None,
        guest: bool | None = None,
        lines: int | None = None,
    ) -> Touched:
        """A new abandoned checkout, with so many drawn lines."""
        return self._change("start_checkout", _given(locals()))

    def update_checkout(self, checkout_id: int | None = None) -> Touched:
        """One more line in an open checkout."""
        return self._change("update_checkout", _given(locals()))

    def complete_checkout(self, checkout_id: int | None = None) -> Touched:
        """Complete an open checkout: it becomes an order, linked by its token."""
        return self._change("complete_checkout", _given(locals()))

    def fill_cart(self, *, lines: int | None = None) -> Touched:
        """A new cart with so many drawn lines."""
        return self._change("fill_cart", _given(locals()))

    def change_cart(self, cart: int, *, lines: int) -> Touched:
        """Replace a cart's lines with so many new ones; none empties it."""
        return self._change("change_cart", _given(locals()))

    def order_cart(self, cart: int, **options: Any) -> Touched:
        """An order of a cart, with the options of `place_order`."""
        return self._change("order_cart", options | {"cart": cart})

    def update_shop(self, *, name: str | None = None, timezone: str | None = None, domain: str | None = None) -> None:
        """Change the shop's own facts."""
        self._change("update_shop", _given(locals()))

    def rename(self, handle: str) -> None:
        """Give the store another handle, which the former one sends on to (HTTP 301); controls know both."""
        self.post("rename", handle=handle)

    def uninstall(self) -> None:
        """Remove the app: its tokens and subscriptions are deleted."""
        self.post("uninstall")

    # -- what happens without a word

    def vanish(self, kind: str, number: int) -> None:
        """An object (`Order`, `Customer`, `Product`, `AbandonedCheckout`) is deleted, without a webhook."""
        self.post("silent/vanish", kind=kind, number=number)

    def backdate(self, kind: str, number: int, at: str) -> None:
        """Set when an object was created and last changed (ISO), without a webhook."""
        self.post("silent/backdate", kind=kind, number=number, at=at)

    def set_rfm_group(self, customer_id: int, group: str | None) -> None:
        """Shopify's own RFM group of a customer is another, which is no change of the customer."""
        self.post("silent/set_rfm_group", number=customer_id, group=group)

    def _change(self, action: str, options: dict[str, Any]) -> Touched:
        touched: Touched = self.post(action, **options)
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


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not None (of a method's arguments)."""
    return {name: value for name, value in options.items() if name != "self" and value is not None}


def _content(method: str, url: str, **options: Any) -> Any:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the machine's does not lead to its loopback
        response = session.request(method, url, timeout=TIMEOUT_SECONDS, **options)
    if response.status_code >= 400:
        try:
            sentence = response.json()["error"]
        except (ValueError, KeyError):
            sentence = f"HTTP {response.status_code}: {response.text[:200]}"
        raise ControlError(sentence)
    return response.json()
