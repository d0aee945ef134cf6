"""What is read ahead is the same, in the same order, and ends in the same way."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from xeno_pipeline.exports.read_ahead import read_ahead


class Source:
    """Numbers, and what became of making them."""

    def __init__(self, last: int, error: Exception | None = None) -> None:
        self.made = 0
        self.threads: set[int] = set()
        self.is_closed = False
        self._last, self._error = last, error

    def numbers(self) -> Generator[int, None, None]:
        try:
            while self.made < self._last:
                self.made += 1
                self.threads.add(threading.get_ident())
                yield self.made
            if self._error is not None:
                raise self._error
        finally:
            self.threads.add(threading.get_ident())
            self.is_closed = True


def test_items_come_in_their_order_and_from_one_other_thread() -> None:
    source = Source(100)
    assert list(read_ahead(source.numbers(), 3)) == list(range(1, 101))
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads
    assert list(read_ahead(Source(0).numbers(), 1)) == []


def test_few_items_wait() -> None:
    source = Source(100)
    with closing(read_ahead(source.numbers(), 3)) as numbers:
        assert next(numbers) == 1
        assert source.made <= 5, "one is read, three wait, and one waits for room"


def test_an_error_comes_after_the_items_before_it() -> None:
    numbers = read_ahead(Source(3, ValueError("no more")).numbers(), 1)
    assert [next(numbers) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="no more"):
        next(numbers)


def test_who_stops_early_closes_all_that_stand_before() -> None:
    source = Source(10**9)

    def doubled(numbers: Generator[int, None, None]) -> Generator[int, None, None]:
        with closing(numbers):
            for number in numbers:
                yield 2 * number

    with closing(read_ahead(doubled(read_ahead(source.numbers(), 1)), 1)) as numbers:
        assert next(numbers) == 2
    assert source.is_closed
    assert len(source.threads) == 1
