"""Generators that work in threads of their own, so that one makes the next item while another deals with the last."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Queue
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Generator[Item, None, None], most: int) -> Generator[Item, None, None]:
    """The same items, made in another thread from now on, before they are asked for.

    What the items raise is raised here. A reader that stops early closes them, in their own thread.

    Args:
        most: how many may wait to be read.
    """
    reading = _read(items, Queue(most))
    next(reading)  # to where the thread has begun
    return reading  # type: ignore[return-value]  # all that follows are items


def _read(items: Generator[Item, None, None], waiting: Queue[Item | None]) -> Generator[Item | None, None, None]:
    has_stopped = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        making = pool.submit(_enqueue, items, waiting, has_stopped)
        try:
            yield None
            while (item := waiting.get()) is not None:
                yield item
        except BaseException:
            has_stopped.set()
            while waiting.get() is not None:  # so that it can be put into
                pass
            raise
        making.result()


def _enqueue(items: Generator[Item, None, None], waiting: Queue[Item | None], has_stopped: Event) -> None:
    try:
        with closing(items):
            for item in items:
                waiting.put(item)
                if has_stopped.is_set():
                    break
    finally:
        waiting.put(None)
