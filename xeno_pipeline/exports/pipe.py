"""A query's rows in a pipe, for a library that reads files.

Two threads stand between the database and the reader: one takes rows from the database, the other fills the pipe, and a
bounded queue between them lets the database work on while the reader does.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import Queue
from threading import Event

_MOST_WAITING = 64
"""Chunks in the queue; those of `stream_csv` are of 64 KiB, so 4 MiB in all."""


class _ReaderStoppedError(Exception):
    """Whoever reads the pipe has stopped, so that no more rows are wanted."""


@contextmanager
def piped(chunks: Generator[bytes, None, None]) -> Iterator[str]:
    """The path of a pipe with those chunks, which is read once, within the `with`.

    What the chunks raise is raised at the end of the `with`, in place of what the reader made of a pipe cut short. A
    reader that stops early closes the chunks.
    """
    waiting: Queue[bytes | None] = Queue(_MOST_WAITING)
    has_stopped = Event()
    reading, writing = os.pipe()
    with ThreadPoolExecutor(2, thread_name_prefix="pipe") as pool:
        rows = pool.submit(_enqueue, chunks, waiting, has_stopped)
        pool.submit(_fill, writing, waiting, has_stopped)
        try:
            yield f"/dev/fd/{reading}"
        finally:
            os.close(reading)
            error = rows.exception()
            if error is not None and not isinstance(error, _ReaderStoppedError):
                raise error


def _enqueue(chunks: Generator[bytes, None, None], waiting: Queue[bytes | None], has_stopped: Event) -> None:
    try:
        with closing(chunks):
            for chunk in chunks:
                if has_stopped.is_set():
                    raise _ReaderStoppedError
                waiting.put(chunk)
    finally:
        waiting.put(None)


def _fill(pipe: int, waiting: Queue[bytes | None], has_stopped: Event) -> None:
    try:
        with open(pipe, "wb", buffering=0) as file:
            while (chunk := waiting.get()) is not None:
                left = memoryview(chunk)
                while left:
                    left = left[file.write(left) :]
    except BrokenPipeError:
        has_stopped.set()
        while waiting.get() is not None:  # so that it can be put into
            pass
