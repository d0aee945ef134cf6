"""Looking on while something else happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watching(look: Callable[[], None], every: float) -> Iterator[None]:
    """Look every so many seconds, in a thread of its own, for the length of a `with`."""
    is_over = threading.Event()

    def look_on() -> None:
        while not is_over.wait(every):
            look()

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
