"""Logs as JSON lines; without secrets and personal data."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

import orjson

_STANDARD = set(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """One JSON object a line. An exception is logged by type and location: its text might quote a payload."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line.pop("color_message", None)  # uvicorn's
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["at"] = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(record.exc_info[2])[-5:]]
        return orjson.dumps(line, default=str).decode()


class _Lines(logging.StreamHandler[TextIO]):
    """Flushes once for each iteration of the event loop: a write for each delivery took a quarter of its time."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._is_due = False

    def flush(self) -> None:
        """Flush at the end of the event loop's iteration; at once where none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            super().flush()
            return
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._is_due = False
        super().flush()


def log_json() -> None:
    """Log to standard output, one JSON object a line."""
    handler = _Lines(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
