"""The code location that Dagster loads."""

import gc

import dagster as dg

from xeno_pipeline.defs.forked_runs import fork_runs


def _load() -> dg.Definitions:
    """The code location, without looking for garbage meanwhile: all of it stays, and a run waits for it."""
    gc.disable()
    try:
        from xeno_pipeline.database.migrate import newest_version
        from xeno_pipeline.defs.build import build_defs
        from xeno_pipeline.settings import load_settings

        newest_version()  # of what is imported: when a run is forked, the files may be a newer package's
        return build_defs(load_settings())
    finally:
        gc.freeze()
        gc.enable()


defs = _load()

fork_runs()
