"""Mapping a large result in a process of its own, so that rows are made while others are sent.

    python -m xeno_pipeline.raw.mapping_process

The process reads the result by an inherited file descriptor and what it is to do, pickled, from its standard input; it
writes pickled messages to its standard output. It imports neither the driver nor the settings. It ends with whoever
started it: a pipe that nobody reads any more ends it at its next message.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import IO

import xeno_pipeline
from xeno_pipeline.errors import XenoError
from xeno_pipeline.raw.bulk_rows import Message, map_lines
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import RAW_TABLES

_LARGE_BYTES = 8 << 20
"""A result of this size takes a process as long to map as to start."""

_BUFFER_BYTES = 1 << 20


class MappingProcessError(XenoError):
    """The process that maps a result has ended before its time."""


def map_result(result: IO[bytes], mapping: RowMapping, suppressed: Suppressed) -> Generator[Message, None, None]:
    """Make the rows of a downloaded result (see `map_lines`): in a process of its own where that pays.

    Args:
        result: a file.

    Raises:
        MalformedLineError: a line is not JSON.
        MappingProcessError: the process ended before its time.
    """
    if result.seek(0, os.SEEK_END) >= _LARGE_BYTES:
        yield from map_apart(result, mapping, suppressed)
    else:
        result.seek(0)
        yield from map_lines(result, mapping, suppressed)


def map_apart(result: IO[bytes], mapping: RowMapping, suppressed: Suppressed) -> Generator[Message, None, None]:
    """Make the rows in a process of its own, which ends with this generator. See `map_result`."""
    result.flush()
    job = (result.fileno(), mapping.root.name, mapping.tenant_id, mapping.query_version, suppressed)
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__],
        cwd=Path(xeno_pipeline.__file__).parents[1],  # this very package, wherever it was imported from
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pipesize=_BUFFER_BYTES,
        pass_fds=[result.fileno()],
        process_group=0,  # Ctrl-C is for the process that started it
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin as stdin:
                pickle.dump(job, stdin)
            while (message := _receive(process.stdout)) is not None:
                if isinstance(message, Exception):
                    raise message  # noqa: TRY301 - what failed there fails here
                yield message
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise MappingProcessError(
            f"{mapping.tenant_id}: the process that maps {mapping.root.name} {_ending_of(process.returncode)}; "
            "nothing was loaded. Run the sync again; if it stays so, give it more memory."
        )


def _receive(pipe: IO[bytes]) -> Message | Exception | None:
    """The next message; None at the end, or where the process died amid one."""
    with suppress(EOFError, pickle.UnpicklingError):
        message: Message | Exception = pickle.load(pipe)  # noqa: S301 - our own process wrote it
        return message
    return None


def _ending_of(returncode: int) -> str:
    return f"was ended by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with status {returncode}"


def main() -> None:
    """Map the result that the parent names; an error is sent like everything else."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # with the parent gone, there is nobody to tell
    descriptor, table, tenant_id, query_version, suppressed = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent's
    root = next(each for each in RAW_TABLES if each.name == table)
    with open(descriptor, "rb", buffering=_BUFFER_BYTES) as result:  # noqa: PTH123 - it has no path
        result.seek(0)
        try:
            for message in map_lines(result, RowMapping(root, tenant_id, query_version), suppressed):
                _send(message)
        except Exception as error:  # noqa: BLE001 - raised by the parent
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
            _send(error)


def _send(message: Message | Exception) -> None:
    pickle.dump(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
