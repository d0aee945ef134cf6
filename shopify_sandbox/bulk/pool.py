"""The pool of worker processes that write bulk results, so that the API answers while they work."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from shopify_sandbox.spec import StoreSpec

CANCEL = "cancel"
_WORKER = "shopify_sandbox.bulk.worker"


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


def _start_worker() -> tuple[subprocess.Popen[bytes], Connection]:
    """A worker, and the pipe to it. Not by `multiprocessing`, whose children import whatever main module there is."""
    ours, theirs = Pipe()
    with theirs:
        command = [sys.executable, "-m", _WORKER, str(theirs.fileno())]
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
        is_notified = False
        while not self._stopping.is_set():
            if job.cancelled.is_set() and not is_notified:
                pipe.send(CANCEL)
                is_notified = True
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
