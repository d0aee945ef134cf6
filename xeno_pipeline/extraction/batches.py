"""When a run takes another batch of events, and when it ends.

A process takes seconds to start, and a batch takes two. So a run that has taken what was due stays and takes what has
come meanwhile, until nothing has come for some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction import inbox

_SECONDS_BETWEEN_LOOKS = 0.25
"""A look is one query of a partial index. (LISTEN would hear at once, but not through every pooler.)"""

Due = Mapping[str, inbox.Attempted]
"""The oldest due event of each tenant that has some."""

_NOTHING: Due = {}


@dataclass(frozen=True)
class Shift:
    """How long a run takes events.

    Args:
        quiet_seconds: it ends when nothing has come for so long.
        longest_seconds: after so long it ends with its batch, whatever is due: the next run has a new process and a new
            log, and whoever waits for a run to end, such as a code server that is stopped, does not wait for ever.
    """

    quiet_seconds: float
    longest_seconds: float


def batches(database: Database, shift: Shift, is_outdated: Callable[[], bool]) -> Iterator[int]:
    """Yield a batch's number, from 0, when it is to be taken: the first at once, others when something else is due.

    Events that a batch leaves as they were (their tenant's rows are refused, say) are no reason for another: they would
    be tried without a pause. The next batch takes them too, and after the run the sensor pauses between its runs.

    Args:
        database: where the inbox is.
        shift: how long to go on.
        is_outdated: whether the run must not go on, however little time has passed.
    """
    started = time.monotonic()
    due = _look(database)
    for number in count():
        yield number
        if time.monotonic() >= started + shift.longest_seconds or is_outdated():
            return
        left = {tenant: oldest for tenant, oldest in _look(database).items() if due.get(tenant) == oldest}
        due = await_due(database, shift.quiet_seconds, left)
        if not due:
            return


def _look(database: Database) -> Due:
    with database.connect() as connection:
        return inbox.oldest_due(connection)


def await_due(database: Database, seconds: float, left: Due = _NOTHING) -> Due:
    """Wait until something is due.

    Args:
        database: where the inbox is.
        seconds: how long to wait at most.
        left: what is due all the time, and no reason to stop waiting.

    Returns:
        All that is due, by tenant; nothing where the time has passed.
    """
    deadline = time.monotonic() + seconds
    with database.connect(autocommit=True) as connection:
        while True:
            due = inbox.oldest_due(connection)
            if any(left.get(tenant) != oldest for tenant, oldest in due.items()):
                return due
            if time.monotonic() >= deadline:
                return _NOTHING
            time.sleep(min(_SECONDS_BETWEEN_LOOKS, max(deadline - time.monotonic(), 0)))
