"""The worker processes that write bulk results, so that the API answers while they work."""

from __future__ import annotations

import os
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from xeno_pipeline.sandbox.spec import StoreSpec

WINDOW = 400
"""Ungrouped lines are shuffled within windows of so many: children come before and after their parents."""

CANCEL = "cancel"
_REPORT_EVERY = 4000


@dataclass
class Job:
    """One bulk query to run, and what the worker said of it."""

    spec: StoreSpec
    folder: Path
    query: str
    grouped: bool
    result: Path
    objects: int = 0
    roots: int = 0
    size: int = 0
    error: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


def work(pipe: Connection) -> None:
    """The main loop of a worker: jobs come through a pipe; when it closes, the server is gone, and so is this."""
    try:
        while True:
            message = pipe.recv()
            if message != CANCEL:  # a cancellation may arrive when its job is already done
                _run(pipe, *message)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return


def _run(pipe: Connection, spec: StoreSpec, folder: Path, query: str, grouped: bool, result: Path) -> None:
    # Imported here: the schema's resolvers start bulk operations, and so import this module.
    from graphql import GraphQLError

    from xeno_pipeline.sandbox.bulk.query import bulk_lines, compile_bulk_query
    from xeno_pipeline.sandbox.execution.schema import admin_schema
    from xeno_pipeline.sandbox.state.store import Store

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


def _start_worker() -> tuple[subprocess.Popen[bytes], Connection]:
    """A worker, and the pipe to it. Not by `multiprocessing`, whose children import whatever main module there is."""
    ours, theirs = Pipe()
    with theirs:
        command = [sys.executable, "-m", __spec__.name, str(theirs.fileno())]
        return subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours  # noqa: S603


class Workers:
    """A small pool: a thread for each process hands it jobs and listens. Processes start when first needed."""

    def __init__(self, count: int = 2) -> None:
        self._stopping = threading.Event()
        self._jobs: queue.SimpleQueue[tuple[Job, Callable[[Job, str], None]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, changed: Callable[[Job, str], None]) -> None:
        """Run a job as soon as a worker is free.

        Args:
            job: What to run; its counts are kept up to date.
            changed: Called with `running` (now and then), and at the end with `done`, `cancelled` or `failed`.
        """
        self._jobs.put((job, changed))

    def stop(self) -> None:
        """End all workers; what they were doing is done again when the store is served again."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _serve(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        pipe: Connection | None = None
        while (item := self._jobs.get()) is not None:
            job, changed = item
            if job.cancelled.is_set() or self._stopping.is_set():
                continue
            if process is None or pipe is None or process.poll() is not None:
                process, pipe = _start_worker()
            try:
                self._follow(pipe, job, changed)
            except (EOFError, OSError):
                pipe.close()
                process.wait()
                job.error = "INTERNAL_SERVER_ERROR"
                changed(job, "failed")
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.terminate()
            process.wait(timeout=5)

    def _follow(self, pipe: Connection, job: Job, changed: Callable[[Job, str], None]) -> None:
        pipe.send((job.spec, job.folder, job.query, job.grouped, job.result))
        changed(job, "running")
        told = False
        while not self._stopping.is_set():
            if job.cancelled.is_set() and not told:
                pipe.send(CANCEL)
                told = True
            if not pipe.poll(0.05):
                continue
            state, job.objects, job.roots, job.size = pipe.recv()
            if state == "running":
                changed(job, "running")
                continue
            if state != "done":
                job.error = state
            changed(job, "cancelled" if job.cancelled.is_set() else "failed" if job.error else "done")
            return


if __name__ == "__main__":
    work(Connection(int(sys.argv[1])))
