"""Answers that are files: sent as they are made; what they hold is released when the client has them, or leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from xeno_pipeline.errors import XenoError

_AT_ONCE = 3
_UNDER_WAY = BoundedSemaphore(_AT_ONCE)
"""Each holds a connection, or a file and memory, or a thread at times, for as long as its client takes."""

_MOST_SECONDS = 600


class TooManyDownloadsError(XenoError):
    """The process has as many downloads under way as it may."""


@contextmanager
def one_download() -> Iterator[None]:
    """One of the few downloads that the process has under way.

    Raises:
        TooManyDownloadsError: there are as many as there may be.
    """
    if not _UNDER_WAY.acquire(blocking=False):
        raise TooManyDownloadsError(f"{_AT_ONCE} exports are under way, and there may be no more at once.")
    try:
        yield
    finally:
        _UNDER_WAY.release()


class Download(StreamingResponse):
    """A file in chunks. A client that takes more than ten minutes is cut off.

    Args:
        chunks: read in threads, one after the other.
        held: what is released at the end, however that comes.
        name: of the file.
    """

    def __init__(
        self, chunks: Iterator[bytes], held: ExitStack, *, name: str, media_type: str, headers: Mapping[str, str]
    ) -> None:
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(chunks, headers={**headers, **disposition}, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            with anyio.fail_after(_MOST_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._held.close)
