"""Answers that go on: server-sent events, as browsers' EventSource reads them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse

from xeno_pipeline.api.problems import Kind, ProblemError

MEDIA_TYPE = "text/event-stream"

HEARTBEAT = ": nothing new\n\n"
"""A comment: it keeps the connection open, and clients ignore it."""

_RECONNECT = "retry: 3000\n\n"


class EventStreams:
    """The streams that are open in this process, and how many there may be.

    Args:
        of_a_key: as many may one key have open at once; each costs a query a second.
        longest_seconds: then a stream ends, and its client connects again.
    """

    def __init__(self, of_a_key: int = 10, longest_seconds: float = 3600.0) -> None:
        self._of_a_key, self.longest_seconds = of_a_key, longest_seconds
        self._open: Counter[str] = Counter()

    def answer(self, key: str, events: AsyncIterator[str], headers: Mapping[str, str]) -> StreamingResponse:
        """An answer of events.

        Args:
            key: whose it is; no secret, for it is kept.
            events: each as text, see `event`.
            headers: of the answer.

        Raises:
            ProblemError: the key has too many open.
        """
        if self._open[key] >= self._of_a_key:
            raise ProblemError(
                Kind.TOO_MANY,
                f"This key has {self._of_a_key} streams of events open.",
                "Close one of them, or read the sync itself from time to time.",
                headers={"Retry-After": "60"},
            )
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._counted(key, events), headers={**headers, **unbuffered}, media_type=MEDIA_TYPE)

    async def _counted(self, key: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
        self._open[key] += 1
        try:
            yield _RECONNECT
            async for each in events:
                yield each
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


def event(name: str, data: str, id_: str | None = None) -> str:
    """An event as text.

    Args:
        data: without line breaks, as JSON is.
        id_: what the client says as `Last-Event-ID` when it connects again.
    """
    return f"{f'id: {id_}' + chr(10) if id_ else ''}event: {name}\ndata: {data}\n\n"
