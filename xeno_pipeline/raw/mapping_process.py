"""Mapping a large result in processes of their own, so that rows are made while others are sent.

    python -m xeno_pipeline.raw.mapping_process

Such a process reads blocks of the result by an inherited file descriptor, and what it is to do, pickled, from its
standard input; it writes pickled messages to its standard output. It imports neither the driver nor the settings. It
ends with whoever started it: a pipe that nobody reads any more ends it at its next message.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import xeno_pipeline
from xeno_pipeline.errors import XenoError
from xeno_pipeline.raw.bulk_rows import BlockEnd, Message, map_block
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import RAW_TABLES
from xeno_pipeline.shopify.bulk_result import Blocks

_PROCESSES = 2
"""Mapping takes twice the time that PostgreSQL needs for the rows."""

_BLOCK_BYTES = 8 << 20
"""Mapping a block takes about as long as starting the processes: a single one is mapped without them."""

_PIPE_BYTES = 1 << 20


class MappingProcessError(XenoError):
    """A process that maps a result has ended before its time."""


def map_result(result: IO[bytes], mapping: RowMapping, suppressed: Suppressed) -> Generator[Message, None, None]:
    """Make the rows of a downloaded result, block by block, in their order: in processes of their own where that pays.

    Args:
        result: a file.

    Raises:
        MalformedLineError: a line is not JSON.
        MappingProcessError: a process ended before its time.
    """
    result.flush()
    blocks = Blocks(result.fileno(), result.seek(0, os.SEEK_END), _BLOCK_BYTES)
    if blocks.count > 1:
        yield from map_apart(blocks, mapping, suppressed)
    else:
        yield from map_here(blocks, mapping, suppressed)


def map_here(blocks: Blocks, mapping: RowMapping, suppressed: Suppressed) -> Generator[Message, None, None]:
    """Make the rows in this process. See `map_result`."""
    for number in range(blocks.count):
        yield from map_block(blocks, number, mapping, suppressed)


def map_apart(blocks: Blocks, mapping: RowMapping, suppressed: Suppressed) -> Generator[Message, None, None]:
    """Make the rows in processes that take turns in the blocks, and end with this generator. See `map_result`."""
    count = min(_PROCESSES, blocks.count)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_start(blocks, range(first, blocks.count, count), mapping, suppressed))
            for first in range(count)
        ]
        for number in range(blocks.count):
            yield from _receive_block(processes[number % count], mapping)


@contextmanager
def _start(
    blocks: Blocks, numbers: range, mapping: RowMapping, suppressed: Suppressed
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that maps the blocks of some numbers, for the length of a `with`."""
    job = (blocks, numbers, mapping.root.name, mapping.tenant_id, mapping.query_version, suppressed)
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__],
        cwd=Path(xeno_pipeline.__file__).parents[1],  # this very package, wherever it was imported from
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pipesize=_PIPE_BYTES,
        pass_fds=[blocks.descriptor],
        process_group=0,  # Ctrl-C is for the process that started it
    ) as process:
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError), process.stdin as stdin:  # what became of it is found when it is read
                pickle.dump(job, stdin)
            yield process
        finally:
            process.kill()


def _receive_block(process: subprocess.Popen[bytes], mapping: RowMapping) -> Iterator[Message]:
    """The messages of the process's next block."""
    assert process.stdout is not None
    message: Message | Exception | None = None
    while not isinstance(message, BlockEnd):
        try:
            message = pickle.load(process.stdout)  # noqa: S301 - our own process wrote it
        except (EOFError, pickle.UnpicklingError):  # there is no more, or half a message
            raise MappingProcessError(
                f"{mapping.tenant_id}: a process that maps {mapping.root.name} {_ending_of(process.wait())}; "
                "nothing was loaded. Run the sync again; if it stays so, give it more memory."
            ) from None
        if isinstance(message, Exception):
            raise message
        assert message is not None
        yield message


def _ending_of(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def main() -> None:
    """Map the blocks that the parent names; an error is sent like everything else."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # with the parent gone, there is nobody to write to
    blocks, numbers, table, tenant_id, query_version, suppressed = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent's
    mapping = RowMapping(next(each for each in RAW_TABLES if each.name == table), tenant_id, query_version)
    try:
        for number in numbers:
            for message in map_block(blocks, number, mapping, suppressed):
                _send(message)
    except Exception as error:  # noqa: BLE001 - raised by the parent
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        _send(error)


def _send(message: Message | Exception) -> None:
    pickle.dump(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
