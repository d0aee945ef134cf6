"""Answers that were given before, kept in memory as long as nothing changed; the database stays the only truth.

An answer is kept under what was asked and the ETag, which says of what state of the marts it is. Whoever asks is
checked by the database first. Where several ask for the same at once, one query answers all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock

DEFAULT_MAX_BYTES = 32 << 20


class AnswerCache:
    """A bounded number of bytes of answers; those not asked for longest go first. Safe between threads."""

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._answers: OrderedDict[Hashable, tuple[str, bytes]] = OrderedDict()
        self._being_made: dict[tuple[Hashable, str], Future[bytes]] = {}
        self.size = 0

    def has(self, asked: Hashable) -> bool:
        """Whether there is an answer of some state."""
        return asked in self._answers

    def find(self, asked: Hashable, etag: str) -> bytes | None:
        """The answer of that state; None where it was not kept."""
        with self._lock:
            kept = self._answers.get(asked)
            if kept is None or kept[0] != etag:
                return None
            self._answers.move_to_end(asked)
            return kept[1]

    def make(self, asked: Hashable, etag: str, make: Callable[[], bytes]) -> bytes:
        """The answer of that state, made now unless another thread is making it: then that one's, or its error."""
        with self._lock:
            future = self._being_made.get((asked, etag))
            is_mine = future is None
            if future is None:
                future = self._being_made[asked, etag] = Future()
        if is_mine:
            try:
                body = make()
            except BaseException as error:
                future.set_exception(error)
                raise
            else:
                self._keep(asked, etag, body)
                future.set_result(body)
            finally:
                with self._lock:
                    del self._being_made[asked, etag]
        return future.result()

    def _keep(self, asked: Hashable, etag: str, body: bytes) -> None:
        with self._lock:
            self.size += len(body) - len(self._answers.pop(asked, ("", b""))[1])
            self._answers[asked] = (etag, body)
            while self.size > self._max_bytes:
                _, (_, dropped) = self._answers.popitem(last=False)
                self.size -= len(dropped)
