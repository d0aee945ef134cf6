"""Downloads of bulk results: streamed from the file, in ranges too, and with the faults a test orders."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

CHUNK = 512 * 1024


class ConnectionDropped(Exception):  # noqa: N818  (an order to drop the connection, not an error)
    """Makes the server close a connection in the middle of an answer."""


def download(request: Request, path: Path, fault: dict[str, Any] | None) -> Response:
    """The file, or the range of it that was asked for.

    Args:
        request: Whose `Range` header counts (`bytes=from-` or `bytes=from-to`).
        path: The result.
        fault: Of kind bulk_truncate (the file seems to end at `bytes`), bulk_reset (the connection drops once
            that many were sent) or bulk_malformed (line `line`, the third by default, is garbled).
    """
    size = path.stat().st_size
    kind = fault["kind"] if fault else None
    if fault and kind == "bulk_truncate":
        size = min(size, int(fault.get("bytes", size // 2)))
    first, last, partial = 0, size - 1, False
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked and not (asked[2] and int(asked[2]) < int(asked[1])):
        first, partial = int(asked[1]), True
        last = min(int(asked[2]), size - 1) if asked[2] else size - 1
        if first >= size:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers = {"Content-Length": str(last - first + 1), "Accept-Ranges": "bytes"}
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    drop_at = first + int(fault.get("bytes", size // 2)) if fault and kind == "bulk_reset" else None
    garbled = int(fault.get("line", 3)) if fault and kind == "bulk_malformed" else None
    content = _read(path, first, last + 1, drop_at, garbled)
    return StreamingResponse(content, 206 if partial else 200, headers, media_type="application/jsonl")


def dropped() -> Response:
    """An answer that breaks off after its first bytes."""

    async def content() -> AsyncIterator[bytes]:
        yield b'{"data":'
        raise ConnectionDropped

    return StreamingResponse(content(), headers={"Content-Length": "1000"}, media_type="application/json")


async def _read(
    path: Path, first: int, end: int, drop_at: int | None, garbled_line: int | None
) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        garbled = -1
        for _ in range(garbled_line or 0):
            garbled = await file.tell() + 1
            await file.readline()
        await file.seek(first)
        at = first
        while at < end:
            stop = end if drop_at is None or drop_at <= at else min(end, drop_at)
            chunk = await file.read(min(CHUNK, stop - at))
            if at <= garbled < at + len(chunk):
                chunk = chunk[: garbled - at] + b"\x00" + chunk[garbled - at + 1 :]
            yield chunk
            at += len(chunk)
            if at == drop_at and at < end:
                raise ConnectionDropped
