"""A large result is mapped in processes of their own: to the same rows, and they end with whoever started them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.mapping_processes import mapping_processes
from tests.support.nodes import order
from tests.support.record_mutations import Record, spoilt
from xeno_pipeline.raw import mapping_process
from xeno_pipeline.raw.bulk_rows import BlockEnd, Message
from xeno_pipeline.raw.mapping import RowMapping, flatten
from xeno_pipeline.raw.mapping_process import MappingProcessError, map_apart, map_here, map_result
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.suppression import NO_SUPPRESSIONS, Suppressed
from xeno_pipeline.raw.tables import ORDERS
from xeno_pipeline.settings import PROJECT_DIR
from xeno_pipeline.shopify.bulk_result import Blocks, MalformedLineError

MAPPING = RowMapping(ORDERS, "acme", 1)
HOSTILE = (
    rb'{"__typename":"LineItem","id":"gid://shopify/LineItem/1","title":"\ud83d","__parentId":"gid://shopify/Order/1"}',
    rb'{"__typename":"Order","id":"gid://shopify/Order/9","name":"\u0000","updatedAt":"12026-01-01T00:00:00Z"}',
    b'{"__typename":"OrderAgreement","id":1e999,"__parentId":' + b"9" * 400 + b"}",
    b'"no record"',
    b"[]",
    b"{}",
)
WAIT_SECONDS = 20  # for a process to end, which takes milliseconds where nothing else runs

PARENT = """
import sys
from pathlib import Path
from tests.support.mapping_processes import mapping_processes
from xeno_pipeline.raw.mapping import RowMapping
from xeno_pipeline.raw.mapping_process import map_apart
from xeno_pipeline.raw.suppression import NO_SUPPRESSIONS
from xeno_pipeline.raw.tables import ORDERS
from xeno_pipeline.shopify.bulk_result import Blocks

with Path(sys.argv[1]).open("rb") as result:
    blocks = Blocks(result.fileno(), int(sys.argv[2]), int(sys.argv[3]))
    messages = map_apart(blocks, RowMapping(ORDERS, "acme", 1), NO_SUPPRESSIONS)
    next(messages)
    print(*(process.pid for process in mapping_processes()), flush=True)
    sys.stdin.read()
"""


def nodes_of(orders: int) -> list[Record]:
    """The flat nodes of some orders, as the lines of a result hold them."""
    whole = [
        order(n, 5, [10 * n, 10 * n + 1], {f"{n}": [f"{n}"]}, [n], customer={"id": f"gid://shopify/Customer/{n % 7}"})
        for n in range(1, orders + 1)
    ]
    return list(flatten(whole))


@contextmanager
def blocks_of(lines: Iterable[bytes], block_bytes: int) -> Iterator[Blocks]:
    with tempfile.TemporaryFile() as file:
        file.write(b"\n".join(lines))
        file.flush()
        yield Blocks(file.fileno(), file.tell(), block_bytes)


@pytest.fixture(scope="module")
def large() -> Iterator[Blocks]:
    """More than fits into pipes: its processes live until all is read."""
    with blocks_of([json.dumps(node).encode() for node in nodes_of(1)] * 9000, 1 << 20) as blocks:
        yield blocks


Begun = tuple[Generator[Message, None, None], list[psutil.Process]]


@pytest.fixture
def begun(large: Blocks) -> Iterator[Begun]:
    """A mapping of which the first rows have come, and its processes."""
    messages = map_apart(large, MAPPING, NO_SUPPRESSIONS)
    assert isinstance(next(messages), Batch)
    yield messages, mapping_processes()
    messages.close()


@pytest.mark.parametrize("suppressed", [NO_SUPPRESSIONS, Suppressed({"customers": {"3"}, "orders": {"5"}})])
def test_they_make_the_rows_that_are_made_here_whatever_the_records(suppressed: Suppressed) -> None:
    rng = random.Random(7)
    good, bad = nodes_of(60), [spoilt(node, rng) for node in nodes_of(120)]
    with blocks_of([*(json.dumps(node).encode() for node in [*good, *bad]), *HOSTILE], 30_000) as blocks:
        apart = list(map_apart(blocks, MAPPING, suppressed))
        assert apart == list(map_here(blocks, MAPPING, suppressed))

    assert sum(isinstance(message, Refused) for message in apart) > 50
    assert sum(message.count for message in apart if isinstance(message, Batch)) > 500
    ends = [message for message in apart if isinstance(message, BlockEnd)]
    assert sum(end.lines for end in ends) == len(good) + len(bad) + len(HOSTILE)
    assert len(ends) > 5


def test_only_a_large_result_is_worth_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile() as result:
        result.write(b"{}\n" * 300_000)
        for block_bytes, processes in ((900_000, 0), (450_000, 2)):
            monkeypatch.setattr(mapping_process, "_BLOCK_BYTES", block_bytes)
            with closing(map_result(result, MAPPING, NO_SUPPRESSIONS)) as messages:
                next(messages)
                assert len(mapping_processes()) == processes


def test_a_line_that_is_no_json_is_an_error_here() -> None:
    with blocks_of([b'{"id": "x"}'] * 50 + [b'{"id": "x'], 64) as blocks:
        for mapped in (map_here, map_apart):
            with pytest.raises(MalformedLineError) as raised:
                list(mapped(blocks, MAPPING, NO_SUPPRESSIONS))
            assert raised.value.line == 51
    assert "map_block" in "".join(raised.value.__notes__), "it says where it happened"


@pytest.mark.parametrize("which", [0, 1])
def test_a_process_that_is_killed_is_an_error_that_names_the_tenant(begun: Begun, which: int) -> None:
    messages, processes = begun
    processes[which].kill()
    with pytest.raises(MappingProcessError, match=r"^acme: a process that maps orders was ended by SIGKILL; nothing"):
        list(messages)
    assert mapping_processes() == []


def test_a_process_that_does_not_start_is_an_error(large: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MappingProcessError, match="ended with status 1"):
        list(map_apart(large, MAPPING, NO_SUPPRESSIONS))


def test_whoever_stops_reading_ends_the_processes(begun: Begun) -> None:
    messages, processes = begun
    assert len(processes) == 2
    messages.close()
    assert not [process for process in processes if process.is_running()]
    assert mapping_processes() == []


def test_the_processes_end_with_a_parent_that_is_killed(tmp_path: Path, large: Blocks) -> None:
    result = tmp_path / "result"
    result.write_bytes(os.pread(large.descriptor, large.size, 0))
    command = [sys.executable, "-c", PARENT, str(result), str(large.size), str(large.block_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_DIR) as parent:
        assert parent.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(processes) == 2
    deadline = time.monotonic() + WAIT_SECONDS
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_alive, processes))


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs: where nobody takes over orphans, one that has ended stays as a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
