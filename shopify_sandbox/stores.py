"""The stores of one server, each opened when it is first asked for: a thousand of them start as soon as one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shopify_sandbox.api import AdminApi
from shopify_sandbox.bulk.operations import BulkOperations
from shopify_sandbox.bulk.pool import Workers
from shopify_sandbox.controls.faults import Faults
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.store import Store

_SOON_OPENED = 1_000
"""Orders that a store may have to be opened while a request waits: that takes hundredths of a second."""


class Stores:
    """Stores by their handle.

    What can fail, takes long, or may have been interrupted is opened at once: stores of files, large ones, and those
    that remember something.

    Args:
        specs: the stores.
        state_dir: where each has a folder.
        base_url: the server's own address.
        monotonic: the clock of the API cost buckets, in seconds.
    """

    def __init__(
        self, specs: Sequence[StoreSpec], state_dir: Path, base_url: str, monotonic: Callable[[], float]
    ) -> None:
        self._specs = {spec.handle: spec for spec in specs}
        self._state_dir = state_dir
        self._base_url = base_url
        self._monotonic = monotonic
        self._workers = Workers()
        self._lock = threading.Lock()
        self._open: dict[str, AdminApi] = {}
        for spec in specs:
            if spec.orders is None or spec.orders > _SOON_OPENED or (state_dir / spec.handle).exists():
                self.get(spec.handle)

    def get(self, handle: str) -> AdminApi | None:
        """A store's API, by whatever handle it has or had; None where there is no such store."""
        api = self._open.get(handle)
        if api is not None:
            return api
        if handle not in self._specs:
            return next((api for api in self.opened() if handle in api.handles), None)
        with self._lock:
            if handle not in self._open:
                self._open[handle] = self._opened(self._specs[handle])
            return self._open[handle]

    def opened(self) -> list[AdminApi]:
        """The stores that were asked for."""
        return list(self._open.values())

    def listing(self) -> list[dict[str, Any]]:
        """Handle, API URL, token, currency, time zone and number of orders of each store."""
        return [
            {
                "handle": handle,
                "api_url": f"{self._base_url}/{handle}",
                "token": spec.token,
                "currency": spec.currency,
                "timezone": spec.timezone,
                "orders": len(self._open[handle].store.tables["Order"]) if handle in self._open else spec.orders,
            }
            for handle, spec in self._specs.items()
        ]

    def close(self) -> None:
        """End the workers and the senders, and close what the stores remember."""
        self._workers.stop()
        for api in self.opened():
            api.webhooks.close()
            api.store.close()

    def _opened(self, spec: StoreSpec) -> AdminApi:
        store, faults = Store(spec, self._state_dir / spec.handle), Faults()
        bulk = BulkOperations(store, self._workers, faults, self._base_url)
        return AdminApi(store, bulk, faults, self._monotonic)
