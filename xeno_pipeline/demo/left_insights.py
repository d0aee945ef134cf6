"""The dashboard that the demo leaves running, so that its link opens something: a process that outlives it.

The process holds the lock of a file of the home for as long as it lives, so that whether it does is known for certain,
and a number that another process was given since is never taken for its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from xeno_pipeline.demo.listening import listens_at, usable_port
from xeno_pipeline.settings import Settings

_SECONDS_TO_END = 20.0
_SECONDS_BETWEEN_LOOKS = 0.05


def leave_insights(settings: Settings) -> str:
    """Start `xeno insights serve` in a process that stays, with the settings of this one; one left before is ended.

    Args:
        settings: those of the environment, which the process reads itself.

    Returns:
        Its URL. Where the usual port is taken by something else, it has a free one.

    Raises:
        NotStartedError: it did not come to listen.
    """
    end_left_insights(settings)
    log = settings.home / "insights.log"
    log_offset = log.stat().st_size if log.exists() else 0
    port = usable_port(settings.insights_port)
    with _lock_path(settings).open("w") as lock, log.open("a") as output:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "xeno_pipeline.cli", "insights", "serve", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock.fileno()],  # the lock is the process's once this one has closed the file
            start_new_session=True,  # what ends the terminal does not end it
        )
        lock.write(str(process.pid))
    try:
        return f"http://127.0.0.1:{listens_at(process, log, log_offset)}"
    except BaseException:
        process.kill()
        process.wait()
        raise


def end_left_insights(settings: Settings) -> bool:
    """End the process that the demo left; nothing happens where there is none.

    Returns:
        Whether there was one.
    """
    path = _lock_path(settings)
    if not path.exists() or not _is_locked(path):
        return False
    pid = int(path.read_text())
    for number, seconds in ((signal.SIGTERM, _SECONDS_TO_END), (signal.SIGKILL, _SECONDS_TO_END)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while _is_locked(path) and time.monotonic() < deadline:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if not _is_locked(path):
            break
    return True


def _lock_path(settings: Settings) -> Path:
    return settings.home / "insights.lock"


def _is_locked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
