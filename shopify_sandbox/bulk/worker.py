"""The program of a worker process: it writes bulk results, one after the other, as the pool tells it."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from graphql import GraphQLError

from shopify_sandbox.bulk.pool import CANCEL
from shopify_sandbox.bulk.query import bulk_lines, compile_bulk_query
from shopify_sandbox.execution.schema import admin_schema
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.state.store import Store

WINDOW = 400
"""Ungrouped lines are shuffled within windows of so many: children come before and after their parents."""

_REPORT_EVERY = 4000


def work(pipe: Connection) -> None:
    """The main loop of a worker: jobs come through a pipe; when it closes, the server has ended, and this ends too."""
    try:
        while True:
            message = pipe.recv()
            if message != CANCEL:  # a cancellation may arrive when its job is already done
                _run(pipe, *message)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return


def _run(pipe: Connection, spec: StoreSpec, folder: Path, query: str, grouped: bool, result: Path) -> None:
    objects = roots = 0
    shuffle = random.Random(result.name).shuffle  # noqa: S311
    store = Store(spec, folder, snapshot=True)
    try:
        # A file of this process's own: the worker of a server that was killed may write for a moment longer.
        part = result.with_suffix(f".{os.getpid()}")
        with part.open("wb") as file:
            block: list[bytes] = []
            for is_root, line in bulk_lines(compile_bulk_query(store, admin_schema(), query)):
                roots += is_root
                block.append(line)
                if len(block) == WINDOW:
                    objects += WINDOW
                    _write(file.write, block, None if grouped else shuffle)
                    if objects % _REPORT_EVERY == 0:
                        pipe.send(("running", objects, roots, 0))
                        if pipe.poll():
                            pipe.recv()
                            break
            objects += len(block)
            _write(file.write, block, None if grouped else shuffle)
            size = file.tell()
        part.rename(result)
        pipe.send(("done", objects, roots, size))
    except GraphQLError as problem:
        pipe.send(((problem.extensions or {}).get("code", "INTERNAL_SERVER_ERROR"), objects, roots, 0))
    finally:
        store.close()


def _write(write: Callable[[bytes], object], block: list[bytes], shuffle: Callable[[list[bytes]], None] | None) -> None:
    if shuffle is not None:
        shuffle(block)
    if block:
        block.append(b"")
        write(b"\n".join(block))
        block.clear()


if __name__ == "__main__":
    work(Connection(int(sys.argv[1])))
