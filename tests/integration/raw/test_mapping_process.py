"""A large result is mapped in a process of its own: to the same rows, and it ends with whoever started it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.support.mapping_processes import mapping_processes
from tests.support.nodes import order
from tests.support.record_mutations import Record, spoilt
from xeno_pipeline.raw import mapping_process
from xeno_pipeline.raw.bulk_rows import Message, Progress, map_lines
from xeno_pipeline.raw.mapping import RowMapping, flatten
from xeno_pipeline.raw.mapping_process import MappingProcessError, map_apart, map_result
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.suppression import NO_SUPPRESSIONS, Suppressed
from xeno_pipeline.raw.tables import ORDERS
from xeno_pipeline.settings import PROJECT_DIR
from xeno_pipeline.shopify.bulk_result import MalformedLineError

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

with Path(sys.argv[1]).open("rb") as result:
    messages = map_apart(result, RowMapping(ORDERS, "acme", 1), NO_SUPPRESSIONS)
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


def file_of(lines: Iterable[bytes]) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone with its last reference
    file.write(b"\n".join(lines))
    return file


@pytest.fixture(scope="module")
def large() -> IO[bytes]:
    """More than fits a pipe: its process lives until all is read."""
    return file_of([json.dumps(node).encode() for node in nodes_of(1)] * 9000)


@pytest.fixture
def begun(large: IO[bytes]) -> Iterator[tuple[Generator[Message, None, None], psutil.Process]]:
    """A mapping of which the first rows have come, and its process."""
    messages = map_apart(large, MAPPING, NO_SUPPRESSIONS)
    assert isinstance(next(messages), Batch)
    (process,) = mapping_processes()
    yield messages, process
    messages.close()


@pytest.mark.parametrize("suppressed", [NO_SUPPRESSIONS, Suppressed({"customers": {"3"}, "orders": {"5"}})])
def test_it_makes_the_rows_that_are_made_here_whatever_the_records(suppressed: Suppressed) -> None:
    rng = random.Random(7)
    good, bad = nodes_of(60), [spoilt(node, rng) for node in nodes_of(120)]
    file = file_of([*(json.dumps(node).encode() for node in [*good, *bad]), *HOSTILE])

    apart = list(map_apart(file, MAPPING, suppressed))

    file.seek(0)
    assert apart == list(map_lines(file, MAPPING, suppressed))
    assert sum(isinstance(message, Refused) for message in apart) > 50
    assert sum(message.count for message in apart if isinstance(message, Batch)) > 500
    last = apart[-1]
    assert isinstance(last, Progress)
    assert last.lines == len(good) + len(bad) + len(HOSTILE)


def test_only_a_large_result_is_worth_a_process(large: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    size = large.seek(0, os.SEEK_END)
    for largest, processes in ((size + 1, 0), (size, 1)):
        monkeypatch.setattr(mapping_process, "_LARGE_BYTES", largest)
        with closing(map_result(large, MAPPING, NO_SUPPRESSIONS)) as messages:
            next(messages)
            assert len(mapping_processes()) == processes


def test_a_line_that_is_no_json_is_an_error_here() -> None:
    file = file_of([b'{"id": "x"}', b'{"id": "x'])
    with pytest.raises(MalformedLineError) as raised:
        list(map_apart(file, MAPPING, NO_SUPPRESSIONS))
    assert raised.value.line == 2
    assert "map_lines" in "".join(raised.value.__notes__), "it says where it happened"


def test_a_process_that_is_killed_is_an_error_that_names_the_tenant(
    begun: tuple[Generator[Message, None, None], psutil.Process],
) -> None:
    messages, process = begun
    process.kill()
    with pytest.raises(MappingProcessError, match=r"^acme: the process that maps orders was ended by SIGKILL; nothing"):
        list(messages)


def test_a_process_that_does_not_start_is_an_error(large: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MappingProcessError, match="ended with status 1"):
        list(map_apart(large, MAPPING, NO_SUPPRESSIONS))


def test_whoever_stops_reading_ends_the_process(
    begun: tuple[Generator[Message, None, None], psutil.Process],
) -> None:
    messages, process = begun
    messages.close()
    assert not process.is_running()
    assert mapping_processes() == []


def test_the_process_ends_with_a_parent_that_is_killed(tmp_path: Path, large: IO[bytes]) -> None:
    large.seek(0)
    (tmp_path / "result").write_bytes(large.read())
    command = [sys.executable, "-c", PARENT, str(tmp_path / "result")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_DIR) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    deadline = time.monotonic() + WAIT_SECONDS
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(process)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs: where nobody takes over orphans, one that has ended stays as a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
