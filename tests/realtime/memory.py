"""How much memory the processes of a machine hold, watched over time."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Self

import psutil

_SECONDS_BETWEEN_LOOKS = 2.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Held:
    """What a process held, in MiB: typically after it had warmed up, typically in the end, and at most."""

    early: float
    late: float
    peak: float

    def __str__(self) -> str:
        return f"{self.early:.0f} MiB early, {self.late:.0f} late, {self.peak:.0f} at most"


class MemoryWatch:
    """Looks every few seconds; a context manager.

    Memory that processes share (Postgres' buffers, files) is not counted. Of Postgres, whose processes come and go,
    all are counted together; so are the runs that are under way, `runs`.

    Args:
        processes: by what they are; the runs are children of `code server`.
    """

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = processes
        self._seen: dict[str, list[float]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def held(self) -> dict[str, Held]:
        """What each held: in the second quarter of the time, in the last, and at most."""
        found = {}
        for name, sizes in self._seen.items():
            quarter = len(sizes) // 4
            found[name] = Held(median(sizes[quarter : 2 * quarter]), median(sizes[-quarter:]), max(sizes))
        return found

    def _look_on(self) -> None:
        while not self._is_over.wait(_SECONDS_BETWEEN_LOOKS):
            for name, process in self._processes.items():
                together = [process, *process.children()] if name == "postgres" else [process]
                self._seen[name].append(_private(together))
            self._seen["runs"].append(_private(self._processes["code server"].children(recursive=True)))


def _private(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            memory = process.memory_info()
            total += memory.rss - memory.shared
    return total / _MIB
