"""One export in a process of its own: the seconds of it and the process's greatest memory, as JSON.

python -m tests.bench.export_once URL TENANT FORMAT FILE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.bench.memory import peak_mib
from xeno_pipeline.database.connection import Database
from xeno_pipeline.exports.contract import find_mart
from xeno_pipeline.exports.run import Exporter
from xeno_pipeline.exports.selection import Selection


def main(url: str, tenant: str, file_format: str, file: str) -> None:
    """Export the orders of a tenant."""
    exporter = Exporter(Database(url))
    started = time.perf_counter()
    rows = exporter.write(Selection(tenant, find_mart("fct_orders")), file_format, Path(file))
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"rows": rows, "seconds": seconds, "mebibytes": peak_mib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
