"""Loads the history of a store's orders, as `xeno sync` does, and tells how long and how large that was.

    python -m tests.bench.load_history TENANT

Shopify's part (collecting the result of the bulk operation) is waited for before the clock starts; what is timed
is the download over HTTP, the load and the commit. Prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

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
    started = time.perf_counter()
    sync = StreamSync(orders, tenant, client, database, settings.home / "spool", no_progress)
    report = sync.run()
    seconds = time.perf_counter() - started
    told = {
        "lines": collected.object_count,
        "bytes": collected.file_size,
        "rows": report.rows_read,
        "seconds": seconds,
        "peak_mib": _peak_mib(),
        "dagster_imported": "dagster" in sys.modules,
        "result_url": collected.url,
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _peak_mib() -> float:
    """The most memory that was resident. `ru_maxrss` would count that of the process which started this one, too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    main(sys.argv[1])
