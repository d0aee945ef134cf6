"""Files for browsers: scripts, styles, the font. Their path has a hash of all of them in it."""

from __future__ import annotations

import gzip
import hashlib
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_COMPRESSED_ALREADY = {".woff2"}
_ONE_YEAR = "public, max-age=31536000, immutable"


class StaticFile:
    """A file in memory: it is read once, and compressed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()

    @cached_property
    def compressed(self) -> bytes | None:
        """As gzip has it; None where that saves nothing."""
        return None if self.path.suffix in _COMPRESSED_ALREADY else gzip.compress(self.content, mtime=0)

    def response(self, *, takes_gzip: bool) -> Response:
        """The file, for a browser to keep."""
        headers = {"Cache-Control": _ONE_YEAR, "Vary": "Accept-Encoding"}
        body = self.content
        if takes_gzip and self.compressed is not None:
            body, headers["Content-Encoding"] = self.compressed, "gzip"
        return Response(body, headers=headers, media_type=_TYPES[self.path.suffix])


class StaticFiles:
    """All files of the folder.

    Args:
        prefix: the path that they are served under.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._files = {path.name: StaticFile(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}
        together = hashlib.sha256(b"".join(file.content for file in self._files.values()))
        self._version = together.hexdigest()[:12]  # one for all: the style sheet names the font beside it

    def url(self, name: str) -> str:
        """The path of a file, which changes with the files."""
        return f"{self._prefix}/{self._version}/{self._files[name].path.name}"

    def serve(self, request: Request) -> Response:
        """The endpoint of `{prefix}/{version}/{name}`."""
        file = self._files.get(request.path_params["name"])
        if file is None or self._version != request.path_params["version"]:
            return Response("There is no such file.", 404, media_type="text/plain")
        return file.response(takes_gzip="gzip" in request.headers.get("accept-encoding", ""))
