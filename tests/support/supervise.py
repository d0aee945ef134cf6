"""Runs pytest, and ends whatever it leaves running: `python -m tests.support.supervise ARGUMENTS OF PYTEST`.

Servers outlive the tests that start them: PostgreSQL detaches itself, and a worker that is killed ends nothing. On
Linux a process can adopt the orphans among its descendants, so this one knows them all, and ends them however pytest
ended. Elsewhere it is pytest alone.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from types import FrameType

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""https://man7.org/linux/man-pages/man2/prctl.2.html"""

_SECONDS_TO_END = 30.0
"""For pytest after a signal: as long as its fixtures take to stop their servers."""


def main(arguments: list[str]) -> int:
    """Run pytest in a process group of its own, so that one signal reaches it once.

    Returns:
        Its exit code, or 128 and the signal's number where it was ended by one.
    """
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # where `make` is killed
    # What a shell starts in the background ignores SIGINT, and so does what that starts. Dagster's servers take SIGTERM
    # as they take SIGINT: none of them would end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pytest = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], start_new_session=True)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # once is enough
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        code = pytest.wait()
    except KeyboardInterrupt:
        pytest.send_signal(signal.SIGINT)
        try:
            code = pytest.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pytest.kill()
            code = pytest.wait()
    finally:
        end_descendants()
    return code if code >= 0 else 128 - code


def end_descendants() -> None:
    """End all processes below this one: politely, and after five seconds by force."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        try:  # PostgreSQL takes SIGTERM for "when all clients are gone"
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
