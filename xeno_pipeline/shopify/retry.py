"""How long to keep trying: retry policies, and the pause before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

_FIRST_SECONDS = 0.5


@dataclass(frozen=True)
class RetryPolicy:
    """How long a call is retried before it fails, in seconds. Waiting for cost points does not count.

    Args:
        connect_deadline: for a host that no connection can be made to: most often its name is wrong.
        longest_pause: the longest pause between two attempts.
    """

    deadline: float = 180.0
    connect_deadline: float = 20.0
    longest_pause: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

    INTERACTIVE: ClassVar[RetryPolicy]
    """Somebody waits at a terminal, or the same question is asked again soon."""
    QUICK: ClassVar[RetryPolicy]
    """Other stores wait for this one, and a failure is retried later anyway."""


RetryPolicy.INTERACTIVE = RetryPolicy(deadline=30.0, connect_deadline=5.0, longest_pause=5.0)
RetryPolicy.QUICK = RetryPolicy(
    deadline=10.0, connect_deadline=3.0, longest_pause=2.0, connect_timeout=3.0, read_timeout=10.0
)


def pause_after(failures: int, longest: float) -> float:
    """Seconds to wait after a number of failures in a row (one or more), at most `longest`.

    The pause is random, so that many clients do not return at the same moment ("full jitter"):
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    doublings = min(failures - 1, 30)  # more would overflow, and every pause is capped long before
    return random.uniform(0.0, min(longest, _FIRST_SECONDS * 2**doublings))  # noqa: S311 - not used for secrets
