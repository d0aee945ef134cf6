"""How fast the history of a store is loaded: beside a plain COPY of the same lines, and in constant memory.

What is compared, in one run: the download over HTTP, the load and the commit of a store's whole order history, by a
process of its own; and a COPY of the very same lines into a table of one unindexed jsonb column.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import requests

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import DEFAULT_TOKEN, StoreSpec
from tests.bench.machine import load_history
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import connect_store

ORDERS = {"large": 200_000, "small": 20_000}
_CHUNK = 1 << 20
_ONE_COLUMN = "copy plain_lines from stdin with (format csv, quote e'\\x01', delimiter e'\\x02')"
"""Each line of the file is one value, whatever is in it."""


def run(folder: Path, orders: Mapping[str, int] = ORDERS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        orders: of the `large` store and of the `small` one.

    Returns:
        `lines_per_second_of_plain_copy`: the loader's lines per second over the plain COPY's; `peak_mib`: the peaks of
        resident memory of the loading process and of those that map for it; `peak_of_large_over_small` and
        `line_of_large_over_small`: that memory, and seconds a line, for a store of 200,000 orders over a tenth; and
        what they are made of.
    """
    settings = Settings(home=folder / "home", database_url=None)
    stores = [StoreSpec(handle, orders=count, plan="Enterprise") for handle, count in orders.items()]
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess(stores, folder / "sandbox"))
        stack.callback(EmbeddedServer(settings.home).stop)
        database = open_migrated(settings)
        for handle in orders:
            connect_store(
                database,
                load_key_ring(settings),
                handle=handle,
                api_url=f"{sandbox.url}/{handle}",
                token=DEFAULT_TOKEN,
            )
        small = load_history("small", settings)
        large = load_history("large", settings)
        plain_seconds = _copy_plainly(database, large["result_url"])
    return {
        "lines": large["lines"],
        "bytes": large["bytes"],
        "load_seconds": large["seconds"],
        "plain_copy_seconds": plain_seconds,
        "lines_per_second": large["lines"] / large["seconds"],
        "lines_per_second_of_plain_copy": plain_seconds / large["seconds"],
        "peak_mib": large["peak_mib"],
        "peak_of_large_over_small": large["peak_mib"] / small["peak_mib"],
        "line_of_large_over_small": large["seconds"] / large["lines"] / (small["seconds"] / small["lines"]),
    }


def _copy_plainly(database: Database, url: str) -> float:
    """Seconds of a COPY of the result's lines, from a file, committed."""
    with tempfile.TemporaryFile() as lines, database.connect() as connection:
        with requests.get(url, stream=True, timeout=60) as response:
            for chunk in response.iter_content(_CHUNK):
                lines.write(chunk)
        lines.seek(0)
        connection.execute("create table plain_lines (line jsonb)")
        connection.commit()
        started = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy(_ONE_COLUMN) as copy:
            while chunk := lines.read(_CHUNK):
                copy.write(chunk)
        connection.commit()
        return time.perf_counter() - started
