"""How much a key may ask: requests in any minute, counted in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from xeno_pipeline.api.problems import Kind, ProblemError

_WINDOW_SECONDS = 60


class RateLimits:
    """Counts the requests of each key.

    Args:
        per_minute: as many may come within any minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._policy = f'"key";q={per_minute};w={_WINDOW_SECONDS}'

    def count(self, key: str) -> Mapping[str, str]:
        """Count a request.

        Args:
            key: whose it is; no secret, for it is kept.

        Returns:
            What remains, as headers (draft-ietf-httpapi-ratelimit-headers).

        Raises:
            ProblemError: there were too many.
        """
        is_within = self._limiter.hit(self._item, key)
        stats = self._limiter.get_window_stats(self._item, key)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        headers = {"RateLimit-Policy": self._policy, "RateLimit": f'"key";r={stats.remaining};t={seconds}'}
        if not is_within:
            raise ProblemError(
                Kind.TOO_MANY,
                f"This key has made its {self._item.amount} requests of a minute.",
                f"Wait {seconds} seconds; or have XENO_INSIGHTS_REQUESTS_PER_MINUTE raised.",
                headers={**headers, "Retry-After": str(seconds)},
            )
        return headers
