"""Runs as forks of one process that has the code location loaded.

Dagster's code server starts a new interpreter for each run, which imports Dagster and dbt and builds the definitions:
three seconds of CPU time, for which a webhook waits that came after a quiet time. A fork has all of that at once, and
shares the memory that it takes.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing import forkserver

from xeno_pipeline.defs.dagster_internals import RUN_MODULE, is_code_server, make_runs_of

_LOADED = ["xeno_pipeline.definitions", RUN_MODULE]
"""What a run needs of the code location, and of Dagster."""


def fork_runs() -> None:
    """Where this process is a code server, have its runs forked, and start the process that they are forked from.

    That process has one thread and no connection. It ends with the code server; a run that is under way goes on.
    Elsewhere than on Linux, libraries of the system may not be used after a fork: runs are started as Dagster does.
    """
    if sys.platform != "linux" or not is_code_server():
        return
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(_LOADED)
    make_runs_of(forking.Process)
    forkserver.ensure_running()
