"""A gateway in a process of its own, on a free port, and deliveries to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import requests

from xeno_pipeline.shopify.webhooks import sign

SECRET = "shpss_current"
PREVIOUS_SECRET = "shpss_previous"

_SECONDS_TO_START = 60.0
"""Python's imports, on a machine that is busy with other tests."""


class GatewayProcess:
    """`xeno gateway serve`; a context manager."""

    def __init__(self, database_url: str, folder: Path, **settings: str) -> None:
        self._log = folder / "gateway.log"
        self._environment = {
            **os.environ,
            "XENO_HOME": str(folder / "home"),
            "XENO_DATABASE_URL": database_url,
            "XENO_SHOPIFY_API_SECRET": SECRET,
            "XENO_SHOPIFY_API_SECRET_PREVIOUS": PREVIOUS_SECRET,
            **settings,
        }
        self.url = ""

    def __enter__(self) -> Self:
        self._log.unlink(missing_ok=True)
        self.start()
        return self

    def start(self) -> None:
        """Start it, and return once it listens; a restart takes the port it had.

        Raises:
            RuntimeError: with its own words, if it ends or does not listen in time.
        """
        port, before = self.url.rpartition(":")[2] or "0", len(self._listening())
        with self._log.open("a") as log:
            command = [sys.executable, "-m", "xeno_pipeline.cli", "gateway", "serve", "--port", port]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS_TO_START
        while len(listening := self._listening()) == before:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"The gateway did not start: {self._log.read_text()}")
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{listening[-1]}"

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _listening(self) -> list[int]:
        """The port of each time that it began to listen."""
        return [line["port"] for line in self._written() if line["message"] == "listening"]

    def text(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    def log(self) -> list[dict[str, Any]]:
        """The lines it has logged; each is a JSON object."""
        if self.url and self.process.poll() is None:
            self.get("/healthz")  # what was logged for the answers before this one is written by now
        return self._written()

    def _written(self) -> list[dict[str, Any]]:
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self.text().splitlines() if line.endswith("}")]

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=30)

    def deliver(
        self,
        payload: Any,
        *,
        topic: str = "orders/updated",
        shop: str = "acme.myshopify.com",
        secret: str = SECRET,
        webhook_id: str | None = None,
        **headers: str | None,
    ) -> requests.Response:
        """A delivery as Shopify makes it; `headers` (with _ for -) replace its own, or are left out where None."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        given: Mapping[str, str | None] = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-Hmac-Sha256": sign(body, secret),
            "X-Shopify-Webhook-Id": webhook_id or str(uuid4()),
            "X-Shopify-Event-Id": str(uuid4()),
            "X-Shopify-Triggered-At": "2026-06-30T10:00:00.123456789Z",
            "X-Shopify-API-Version": "2026-10",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in given.items() if value is not None}
        return requests.post(f"{self.url}/webhooks/shopify", data=body, headers=sent, timeout=30)
