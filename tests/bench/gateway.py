"""What it costs to keep a delivery: the gateway beside the same server with a handler that only verifies the signature.

And beside a bare server that does no more than verify, for what the rest of the gateway costs. All are processes of
their own, fed by the same client over 64 connections, in turns.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles

from tests.support.gateway_process import SECRET, GatewayProcess
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.webhooks import sign
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.registry import Tenant

CONNECTIONS = 64
_SECONDS = 5.0
_ROUNDS = 3
_ORDER_BYTES = 2_000
_FACTS = ("gid://shopify/Shop/1", "acme.myshopify.com", "http://127.0.0.1:9/acme", "Acme", "EUR", "UTC", "Plus", [])


def run(folder: Path, seconds: float = _SECONDS, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and logs of the benchmark's own.
        seconds: of each measurement.
        rounds: of which the figures are medians.

    Returns:
        `durable_over_verify_only` (0.8 is the least) and `durable_over_bare`, deliveries per second of each, and the
        50th and 99th percentile of the durable ones' milliseconds (250 is the most for the latter).
    """
    home = folder / "home"
    server = EmbeddedServer(home)
    try:
        database = open_migrated(Settings(home=home, database_url=None))
        with database.connect() as connection:
            registry.add(connection, Tenant("acme", *_FACTS))
        with (
            GatewayProcess(server.url, folder) as gateway,
            _verifier("gateway", home) as verifier,
            _verifier("bare", home) as bare,
        ):
            urls = (gateway.url, verifier, bare)
            taken = [[_measure(url, seconds) for url in urls] for _ in range(rounds + 1)]
        acknowledged = sum(len(durable) for durable, _, _ in taken)
        with database.connect() as connection:
            ((kept,),) = connection.execute("select count(*) from ops.webhook_inbox").fetchall()
        assert kept == acknowledged, f"{acknowledged} deliveries were acknowledged by the gateway, {kept} are kept"
    finally:
        server.stop()
    del taken[0]  # it warmed up
    milliseconds = [1000 * took for durable, _, _ in taken for took in durable]
    durable, verify_only, bare_one = (median(len(each[place]) / seconds for each in taken) for place in range(3))
    return {
        "durable_over_verify_only": durable / verify_only,
        "durable_over_bare": durable / bare_one,
        "durable_per_second": durable,
        "verify_only_per_second": verify_only,
        "bare_per_second": bare_one,
        "durable_milliseconds_median": median(milliseconds),
        "durable_milliseconds_p99": quantiles(milliseconds, n=100)[98],
    }


@contextmanager
def _verifier(kind: str, home: Path) -> Iterator[str]:
    """A server that only verifies; its URL."""
    log = home / f"{kind}.log"
    command = [sys.executable, "-m", "tests.bench.verifier", kind, str(home), SECRET]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        while not (said := [line for line in log.read_text().splitlines() if "listening" in line]):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{json.loads(said[0])['port']}"
    finally:
        process.terminate()
        process.wait()


def _measure(url: str, seconds: float) -> list[float]:
    """Seconds of each delivery that was answered 200 while all connections were at work; any other answer fails."""
    return asyncio.run(_deliver_side_by_side(int(url.rpartition(":")[2]), seconds))


async def _deliver_side_by_side(port: int, seconds: float) -> list[float]:
    numbers, took = count(time.time_ns()), list[float]()
    end = time.perf_counter() + seconds
    workers = (_deliver_until(end, port, numbers, took) for _ in range(CONNECTIONS))
    await asyncio.gather(*workers)
    return took


async def _deliver_until(end: float, port: int, numbers: Iterator[int], took: list[float]) -> None:
    """Deliver over one connection, one after another. By hand: an HTTP library would be what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"id": 7, "updated_at": "2026-06-30T12:00:00Z", "note": "x" * _ORDER_BYTES}).encode()
    fixed = (
        "POST /webhooks/shopify HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Shopify-Topic: orders/updated\r\n"
        f"X-Shopify-Shop-Domain: acme.myshopify.com\r\nX-Shopify-Hmac-Sha256: {sign(body, SECRET)}\r\n"
        "X-Shopify-Triggered-At: 2026-06-30T12:00:00Z\r\nX-Shopify-API-Version: 2026-10\r\n"
    )
    answered_at = 0.0
    while answered_at < end:  # once at least
        started = time.perf_counter()
        writer.write(f"{fixed}X-Shopify-Webhook-Id: {next(numbers)}\r\n\r\n".encode() + body)
        status = await _answer(reader)
        assert status == 200, f"answered {status}"
        await reader.readexactly(len("ok"))
        answered_at = time.perf_counter()
        took.append(answered_at - started)
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer, its head read."""
    return int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
