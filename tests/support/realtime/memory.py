"""How much memory the processes of a machine hold, watched over time."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import psutil

from tests.support.realtime.polling import watching

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


@contextmanager
def memory_of(processes: Mapping[str, psutil.Process]) -> Iterator[Callable[[], dict[str, Held]]]:
    """Look every few seconds how much memory processes hold.

    Memory that processes share (Postgres' buffers, files) is not counted. Of Postgres, whose processes come and go,
    all are counted together; so are the runs that are under way, `runs`.

    Args:
        processes: by what they are; the runs are children of `code server`.

    Yields:
        What tells how much each held so far: in the second quarter of the time, in the last, and at most.
    """
    seen: dict[str, list[float]] = defaultdict(list)

    def look() -> None:
        for name, process in processes.items():
            seen[name].append(_private([process, *process.children()] if name == "postgres" else [process]))
        seen["runs"].append(_private(processes["code server"].children(recursive=True)))

    with watching(look, _SECONDS_BETWEEN_LOOKS):
        yield lambda: {name: _held(sizes) for name, sizes in seen.items()}


def _held(sizes: list[float]) -> Held:
    quarter = len(sizes) // 4
    return Held(median(sizes[quarter : 2 * quarter]), median(sizes[-quarter:]), max(sizes))


def _private(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            memory = process.memory_info()
            total += memory.rss - memory.shared
    return total / _MIB
