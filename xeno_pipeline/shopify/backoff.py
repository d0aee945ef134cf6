"""How long to wait before trying again."""

from __future__ import annotations

import random

_FIRST_SECONDS = 0.5


def pause_after(failures: int, longest: float) -> float:
    """Seconds to wait after so many failures in a row; random, so that many clients do not come back as one.

    Args:
        failures: how many there were; 1 or more.
        longest: the most to wait.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter")
    """
    doublings = min(failures - 1, 30)  # past any pause worth waiting, and far from overflow
    return random.uniform(0.0, min(longest, _FIRST_SECONDS * 2**doublings))  # noqa: S311 - no secret hangs on it
