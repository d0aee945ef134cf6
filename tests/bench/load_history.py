"""Loads the history of a store's orders, as `xeno sync` does, and tells how long and how large that was.

    python -m tests.bench.load_history TENANT

Shopify's part (collecting the result of the bulk operation) is waited for before the clock starts; what is timed
is the download over HTTP, the load and the commit. Prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress

import psutil

from tests.bench.memory import peak_mib
from xeno_pipeline.database.connection import open_database
from xeno_pipeline.extraction.report import no_progress
from xeno_pipeline.extraction.state import remember_bulk_operation
from xeno_pipeline.extraction.stream_sync import StreamSync
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.settings import load_settings
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.queries import bulk_query
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apps import installation_app
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import open_client

_LOOK_EVERY_SECONDS = 0.05


def main(handle: str) -> None:
    """Load the orders of the tenant, timed."""
    settings = load_settings()
    database = open_database(settings)
    orders = next(stream for stream in STREAMS if stream.name == "orders")
    with database.connect() as connection:
        tenant = registry.get(connection, handle)
    client = open_client(database, load_key_ring(settings), tenant, app=installation_app(settings))
    reader = BulkReader(client)
    collected = reader.wait(reader.start(bulk_query(orders.bulk)))
    with database.connect() as connection:
        remember_bulk_operation(connection, handle, orders.name, collected.id)
    children = _Children()
    children.start()
    started = time.perf_counter()
    sync = StreamSync(orders, tenant, client, database, settings.home / "spool", no_progress)
    report = sync.run()
    seconds = time.perf_counter() - started
    told = {
        "lines": collected.object_count,
        "bytes": collected.file_size,
        "rows": report.rows_read,
        "seconds": seconds,
        "peak_mib": peak_mib() + children.peak_mib(),
        "dagster_imported": "dagster" in sys.modules,
        "result_url": collected.url,
    }
    sys.stdout.write(json.dumps(told) + "\n")


class _Children(threading.Thread):
    """Looks after the memory of the processes that this one starts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._peaks: dict[int, float] = {}

    def run(self) -> None:
        while True:
            for child in psutil.Process().children():
                with suppress(OSError, KeyError):  # it has just ended
                    self._peaks[child.pid] = peak_mib(child.pid)
            time.sleep(_LOOK_EVERY_SECONDS)

    def peak_mib(self) -> float:
        """The sum of their peaks."""
        return sum(self._peaks.values())


if __name__ == "__main__":
    main(sys.argv[1])
