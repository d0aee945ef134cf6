"""Syncs one tenant, as `xeno sync --no-transform` does, in a process that can be killed.

    python -m tests.support.sync_process DATABASE_URL KEY_FILE_FOLDER HANDLE [--full]

Prints `started` once everything is imported, `loading` when the rows of the orders begin to be loaded, and `done`
at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.report import Progress, StreamFailure
from xeno_pipeline.extraction.sync import Syncer, SyncRequest
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import load_key_ring


def main(url: str, home: str, handle: str, *options: str) -> None:
    database, ring = Database(url), load_key_ring(Settings(home=Path(home)))
    with database.connect() as connection:
        tenant = registry.get(connection, handle)
    print("started", flush=True)
    told: list[Progress] = []

    def tell_when_orders_are_loaded(progress: Progress) -> None:
        if (progress.stream, progress.phase) == ("orders", "loading") and not told:
            told.append(progress)
            print("loading", flush=True)

    syncer = Syncer(database, ring, Path(home) / "spool", tell_when_orders_are_loaded)
    for result in syncer.sync_tenant(tenant, SyncRequest(full="--full" in options)):
        if isinstance(result, StreamFailure):
            raise result.error
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
