"""Bulk operations: one is started (or found running), followed, and its result brought to disk whole or not at all."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from shopify_sandbox.control import StoreControl
from tests.support.fake_shop import TOKEN, Answered, Asked, FakeClock, FakeShop, data
from xeno_pipeline.shopify import bulk
from xeno_pipeline.shopify.bulk import BulkOperation, BulkReader
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import (
    BulkDeniedError,
    BulkFailedError,
    BulkRefusedError,
    BulkResultError,
    OverloadedError,
)
from xeno_pipeline.shopify.queries import bulk_query

QUERY = bulk_query("CustomersBulk")
OTHER_QUERY = bulk_query("ProductsBulk")
SECRET = "signed-4711"
RESULT = b'{"id":"gid://shopify/Order/1"}\n{"id":"gid://shopify/LineItem/2","__parentId":"gid://shopify/Order/1"}\n'

Store = Callable[[str], tuple[ShopifyClient, StoreControl]]


def node(number: int = 1, status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """A bulk operation as Shopify tells of it; numbers are strings."""
    return {
        "id": f"gid://shopify/BulkOperation/{number}",
        "status": status,
        "type": "QUERY",
        "errorCode": None,
        "createdAt": "2026-05-01T00:00:00Z",
        "completedAt": None,
        "objectCount": "0",
        "rootObjectCount": "0",
        "fileSize": None,
        "url": None,
        "partialDataUrl": None,
        "query": QUERY,
    } | fields


class BulkShop:
    """Answers for bulk operations: what runs, what comes of starting one, how it goes on, and the result's host."""

    def __init__(self, shop: FakeShop) -> None:
        self.shop = shop
        shop.respond = self
        self.recent: list[dict[str, Any]] = []
        self.starts: list[Any] = [node()]
        """What starting brings: an operation, the code of a refusal, or an answer; the last one for ever."""
        self.polls: list[dict[str, Any] | None] = [node(status="COMPLETED")]
        self.downloads: list[Callable[[int], Answered]] = [self.file()]

    def __call__(self, asked: Asked) -> Answered:
        if asked.path == f"/result/{SECRET}.jsonl":
            start = int(re.findall(r"bytes=(\d+)-", asked.headers.get("range", "bytes=0-"))[0])
            return _next(self.downloads)(start)
        if asked.operation == "BulkOperationsRecent":
            return data({"bulkOperations": {"nodes": self.recent}})
        if asked.operation == "BulkOperationStatus":
            return data({"bulkOperation": _next(self.polls)})
        if asked.operation == "BulkOperationCancel":
            return data({"bulkOperationCancel": {"bulkOperation": None, "userErrors": []}})
        started = _next(self.starts)
        if isinstance(started, Answered):
            return started
        if isinstance(started, str):
            error = {"field": None, "message": f"It is {started}.", "code": started}
            return data({"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [error]}})
        return data({"bulkOperationRunQuery": {"bulkOperation": started, "userErrors": []}})

    def count(self, operation: str) -> int:
        return sum(asked.operation == operation for asked in self.shop.asked if asked.body)

    def completed(self, content: bytes = RESULT, **fields: Any) -> BulkOperation:
        """An operation whose result is `content`."""
        lines = content.splitlines()
        told = {
            "objectCount": str(len(lines)),
            "rootObjectCount": str(sum(b"__parentId" not in line for line in lines)),
            "fileSize": str(len(content)),
            "url": f"{self.shop.url}/result/{SECRET}.jsonl",
        }
        return BulkOperation.from_node(node(status="COMPLETED", **(told | fields)))

    @staticmethod
    def file(content: bytes = RESULT, **how: Any) -> Callable[[int], Answered]:
        """A download of `content`, from the byte that is asked for on."""
        return lambda start: Answered(content[start:], status=206 if start else 200, **how)


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def bulk_shop(shop: FakeShop) -> BulkShop:
    return BulkShop(shop)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result is written a few bytes at a time: of a chunk that breaks off nothing is kept."""
    monkeypatch.setattr(bulk, "_CHUNK_BYTES", 5)


@pytest.fixture
def reader(client: ShopifyClient) -> BulkReader:
    return BulkReader(client)


def download(reader: BulkReader, completed: BulkOperation) -> bytes:
    result = io.BytesIO()
    reader.download(completed, result)
    return result.getvalue()


# --- start ---


def test_an_operation_is_started_with_its_query(bulk_shop: BulkShop, reader: BulkReader) -> None:
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/1"
    assert bulk_shop.shop.asked[-1].variables == {"query": QUERY}


@pytest.mark.parametrize("status", ["CREATED", "RUNNING"])
def test_the_running_operation_that_a_dead_run_left_behind_is_adopted(
    status: str, bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.recent = [node(8, query=OTHER_QUERY), node(7, status, query=f"{QUERY}\n")]
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/7"
    assert bulk_shop.count("BulkOperationStart") == 0


@pytest.mark.parametrize("left", [node(7, query=OTHER_QUERY), node(7, "COMPLETED"), node(7, "CANCELING")])
def test_an_operation_of_another_query_or_that_has_ended_is_not_adopted(
    left: dict[str, Any], bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.recent = [left]
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/1"


@pytest.mark.parametrize(
    ("left", "can_be"),
    [
        (node(status="CREATED"), True),
        (node(status="RUNNING"), True),
        (node(status="COMPLETED", objectCount="2", url="https://storage.example/result"), True),
        (node(status="COMPLETED", objectCount="0"), True),
        (node(status="COMPLETED", objectCount="2"), False),  # its result has expired
        (node(status="CANCELING"), False),
        *((node(status=status), False) for status in ("CANCELED", "FAILED", "EXPIRED")),
    ],
)
def test_what_is_being_cancelled_or_has_no_result_is_not_adopted(left: dict[str, Any], can_be: bool) -> None:
    assert BulkOperation.from_node(left).can_be_adopted is can_be


def test_an_operation_that_was_denied_is_told_apart_from_one_that_failed(
    bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.polls = [node(status="FAILED", errorCode="ACCESS_DENIED")]
    with pytest.raises(BulkDeniedError, match=r"acme: bulk operation \S+ was denied \(ACCESS_DENIED\)"):
        reader.wait(BulkOperation.from_node(node()))


@pytest.mark.parametrize("code", ["OPERATION_IN_PROGRESS", "LIMIT_REACHED"])
def test_where_all_slots_are_taken_one_is_waited_for(
    code: str, bulk_shop: BulkShop, reader: BulkReader, clock: FakeClock
) -> None:
    bulk_shop.starts = [code, code, code, node(5)]
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/5"
    assert clock.slept == sorted(clock.slept)
    assert len(clock.slept) == 3


def test_a_slot_is_waited_for_where_only_the_message_says_that_none_is_free(
    bulk_shop: BulkShop, reader: BulkReader, clock: FakeClock
) -> None:
    message = "A bulk query operation for this app and shop is already in progress: gid://shopify/BulkOperation/7."
    taken = {"bulkOperation": None, "userErrors": [{"field": None, "message": message, "code": None}]}
    bulk_shop.starts = [data({"bulkOperationRunQuery": taken}), node(5)]
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/5"
    assert len(clock.slept) == 1


def test_a_slot_is_not_waited_for_for_ever(
    bulk_shop: BulkShop, reader: BulkReader, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LONGEST_WAIT_SECONDS", 200)
    bulk_shop.starts = ["OPERATION_IN_PROGRESS"]
    with pytest.raises(OverloadedError, match=r"acme: BulkOperationStart found no free slot .* run the sync again"):
        reader.start(QUERY)
    assert 200 <= sum(clock.slept) < 230


def test_a_query_that_shopify_does_not_run_in_bulk_is_refused_in_its_words(
    bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.starts = ["INVALID"]
    with pytest.raises(BulkRefusedError, match=r"acme: BulkOperationStart was refused: It is INVALID\."):
        reader.start(QUERY)


def test_an_answer_with_neither_operation_nor_error_is_a_refusal(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.starts = [None]
    with pytest.raises(BulkRefusedError, match="no operation came back"):
        reader.start(QUERY)


@pytest.mark.parametrize("lost", [Answered(status=502), Answered(b"<html>"), Answered({"data": {}}, drop_at=3)])
def test_an_operation_whose_start_was_not_answered_is_looked_for_and_not_started_twice(
    lost: Answered, bulk_shop: BulkShop, reader: BulkReader
) -> None:
    def start_unseen(asked: Asked) -> Answered:
        if asked.operation == "BulkOperationStart":
            bulk_shop.recent = [node(6)]
        return bulk_shop(asked)

    bulk_shop.starts = [lost]
    bulk_shop.shop.respond = start_unseen
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/6"
    assert bulk_shop.count("BulkOperationStart") == 1


def test_a_start_that_surely_failed_is_tried_again_a_few_times(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.starts = [Answered(status=502), Answered(status=503), node(4)]
    assert reader.start(QUERY).id == "gid://shopify/BulkOperation/4"
    bulk_shop.starts = [Answered(status=502)]
    with pytest.raises(OverloadedError):
        reader.start(QUERY)


# --- wait ---


def test_an_operation_is_polled_ever_more_seldom_until_it_completes(
    bulk_shop: BulkShop, client: ShopifyClient, clock: FakeClock
) -> None:
    told: list[int] = []
    reader = BulkReader(client, lambda running: told.append(running.object_count))
    bulk_shop.polls = [*(node(objectCount=str(n)) for n in range(20)), node(status="COMPLETED", objectCount="20")]
    assert reader.wait(BulkOperation.from_node(node())).status == "COMPLETED"
    assert told == list(range(21))
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] <= 15


@pytest.mark.parametrize(
    ("polls", "problem"),
    [
        ([node(status="FAILED", errorCode="TIMEOUT")], r"ended as FAILED \(TIMEOUT\)"),
        ([node(status="EXPIRED")], "ended as EXPIRED"),
        ([node(status="CANCELING"), node(status="CANCELED")], "ended as CANCELED"),
        ([None], "has vanished at Shopify"),
    ],
)
def test_an_operation_that_ends_otherwise_is_an_error_with_a_remedy(
    polls: list[dict[str, Any] | None], problem: str, bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.polls = polls
    expected = rf"^acme: bulk operation gid://shopify/BulkOperation/1 {problem}; nothing was loaded\. Run the sync"
    with pytest.raises(BulkFailedError, match=expected):
        reader.wait(BulkOperation.from_node(node()))


def test_an_operation_that_makes_no_progress_is_cancelled_and_told(
    bulk_shop: BulkShop, reader: BulkReader, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_STUCK_AFTER_SECONDS", 300)
    bulk_shop.polls = [node(objectCount="5")]
    with pytest.raises(BulkFailedError, match=r"made no progress for .* was cancelled"):
        reader.wait(BulkOperation.from_node(node()))
    assert bulk_shop.count("BulkOperationCancel") == 1
    assert 300 < sum(clock.slept) < 340


def test_a_slow_operation_that_makes_progress_is_waited_for(
    bulk_shop: BulkShop, reader: BulkReader, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_STUCK_AFTER_SECONDS", 300)
    bulk_shop.polls = [*(node(objectCount=str(n // 10)) for n in range(100)), node(status="COMPLETED")]
    reader.wait(BulkOperation.from_node(node()))
    assert sum(clock.slept) > 900


# --- download ---


def test_a_result_comes_whole_and_without_the_token(bulk_shop: BulkShop, reader: BulkReader) -> None:
    completed = bulk_shop.completed()
    result = io.BytesIO()
    reader.download(completed, result)
    assert [line["id"] for line in reader.nodes(completed, result)] == [
        "gid://shopify/Order/1",
        "gid://shopify/LineItem/2",
    ]
    (asked,) = bulk_shop.shop.asked
    assert "x-shopify-access-token" not in asked.headers
    assert TOKEN not in str(asked.headers)


def test_an_empty_result_has_no_file(bulk_shop: BulkShop, reader: BulkReader) -> None:
    empty = bulk_shop.completed(b"", url=None, fileSize=None)
    result = io.BytesIO()
    reader.download(empty, result)
    assert list(reader.nodes(empty, result)) == []
    assert bulk_shop.shop.asked == []


def test_a_result_without_a_file_that_should_not_be_empty_is_an_error(bulk_shop: BulkShop, reader: BulkReader) -> None:
    completed = bulk_shop.completed(url=None)
    result = io.BytesIO(download(reader, completed))
    with pytest.raises(BulkResultError, match="has 0 lines where Shopify announced 2"):
        list(reader.nodes(completed, result))


@pytest.mark.usefixtures("small_chunks")
def test_a_broken_download_goes_on_where_it_broke_off(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.downloads = [bulk_shop.file(drop_at=40), bulk_shop.file(drop_at=0), bulk_shop.file()]
    assert download(reader, bulk_shop.completed()) == RESULT
    assert [asked.headers.get("range") for asked in bulk_shop.shop.asked] == [None, "bytes=40-", "bytes=40-"]


@pytest.mark.usefixtures("small_chunks")
def test_a_download_that_broke_off_after_its_last_byte_is_complete(bulk_shop: BulkShop, reader: BulkReader) -> None:
    content = b'{"id": "12345"}\n' * 5
    bulk_shop.downloads = [bulk_shop.file(content, announced=500)]
    assert download(reader, bulk_shop.completed(content)) == content
    assert len(bulk_shop.shop.asked) == 1


def test_a_clean_but_early_end_of_the_file_is_resumed_too(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.downloads = [bulk_shop.file(RESULT[:50]), bulk_shop.file()]
    assert download(reader, bulk_shop.completed()) == RESULT
    assert bulk_shop.shop.asked[1].headers["range"] == "bytes=50-"


@pytest.mark.usefixtures("small_chunks")
def test_a_host_that_cannot_resume_sends_the_file_again(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.downloads = [bulk_shop.file(drop_at=50), lambda _: Answered(RESULT)]
    assert download(reader, bulk_shop.completed()) == RESULT


def test_a_host_that_fails_for_a_moment_is_asked_again(bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.downloads = [lambda _: Answered(b"<html>", status=503), bulk_shop.file()]
    assert download(reader, bulk_shop.completed()) == RESULT


@pytest.mark.usefixtures("small_chunks")
def test_a_download_may_break_any_number_of_times_as_long_as_more_comes(
    bulk_shop: BulkShop, reader: BulkReader
) -> None:
    bulk_shop.downloads = [lambda start: Answered(RESULT[start:], status=206 if start else 200, drop_at=5)]
    assert download(reader, bulk_shop.completed()) == RESULT
    assert len(bulk_shop.shop.asked) > 2 * bulk._DOWNLOAD_ATTEMPTS


@pytest.mark.parametrize(
    "answer",
    [
        BulkShop.file(RESULT[:50]),  # for ever truncated: then nothing comes
        lambda start: Answered(status=416) if start else Answered(RESULT[:50]),
        lambda _: Answered(status=500),
        BulkShop.file(RESULT * 2),
    ],
    ids=["truncated", "truncated, and the range refused", "failing", "too long"],
)
def test_a_result_that_never_comes_as_announced_is_an_error(
    answer: Callable[[int], Answered], bulk_shop: BulkShop, reader: BulkReader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bulk_shop.downloads = [answer]
    with pytest.raises(
        BulkResultError, match=r"acme: the result of bulk operation \S+ could not be downloaded whole .* Run the sync"
    ) as raised:
        download(reader, bulk_shop.completed())
    assert len(bulk_shop.shop.asked) <= 2 * bulk._DOWNLOAD_ATTEMPTS
    assert SECRET not in "".join(traceback.format_exception(raised.value)) + caplog.text


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_result_that_is_gone_is_told_at_once(status: int, bulk_shop: BulkShop, reader: BulkReader) -> None:
    bulk_shop.downloads = [lambda _: Answered(status=status)]
    with pytest.raises(BulkResultError, match=rf"is no longer available \(HTTP {status}\)"):
        download(reader, bulk_shop.completed())
    assert len(bulk_shop.shop.asked) == 1


@pytest.mark.parametrize("announced", [1, 3])
def test_another_number_of_lines_than_announced_is_an_error(
    announced: int, bulk_shop: BulkShop, reader: BulkReader
) -> None:
    completed = bulk_shop.completed(objectCount=str(announced), fileSize=None)
    result = io.BytesIO(download(reader, completed))
    with pytest.raises(BulkResultError, match=f"has 2 lines where Shopify announced {announced}"):
        list(reader.nodes(completed, result))


def test_a_last_line_without_a_line_break_counts(bulk_shop: BulkShop, reader: BulkReader) -> None:
    content = RESULT.rstrip(b"\n")
    bulk_shop.downloads = [bulk_shop.file(content)]
    assert download(reader, bulk_shop.completed(content)) == content


# --- nodes ---


@pytest.mark.parametrize("line", [b'{"id":"gid://sho', b"\x00", b""])
def test_a_line_that_is_no_json_is_told_by_its_number(line: bytes, bulk_shop: BulkShop, reader: BulkReader) -> None:
    content = b'{"id":"gid://shopify/Order/1"}\n' + line + b'\n{"id":"gid://shopify/Order/3"}\n'
    nodes = reader.nodes(bulk_shop.completed(content), io.BytesIO(content))
    assert next(nodes)["id"] == "gid://shopify/Order/1"
    with pytest.raises(BulkResultError, match=r"is malformed in line 2; nothing was loaded\. Run the sync again"):
        next(nodes)


@pytest.mark.parametrize("line", [b'"a string"', b"[1]", b"7", b"null"])
def test_a_record_that_is_no_object_is_an_empty_node(line: bytes, bulk_shop: BulkShop, reader: BulkReader) -> None:
    """Its file is whole: whoever loads it says of the record that it is none."""
    content = b'{"id":"gid://shopify/Order/1"}\n' + line + b'\n{"id":"gid://shopify/Order/3"}\n'

    nodes = list(reader.nodes(bulk_shop.completed(content, rootObjectCount="3"), io.BytesIO(content)))

    assert [node.get("id", "none") for node in nodes] == ["gid://shopify/Order/1", "none", "gid://shopify/Order/3"]


def test_half_a_surrogate_pair_stops_no_file(bulk_shop: BulkShop, reader: BulkReader) -> None:
    content = rb'{"id":"gid://shopify/Order/1","name":"\ud83d"}'
    assert [node["name"] for node in reader.nodes(bulk_shop.completed(content), io.BytesIO(content))] == ["\ufffd"]


def test_where_nodes_are_misshapen_as_many_may_be_roots_or_none(bulk_shop: BulkShop, reader: BulkReader) -> None:
    completed = bulk_shop.completed(rootObjectCount="2")
    assert len(list(reader.nodes(completed, io.BytesIO(RESULT), lambda: 1))) > 0


def test_another_number_of_roots_than_announced_is_an_error(bulk_shop: BulkShop, reader: BulkReader) -> None:
    completed = bulk_shop.completed(rootObjectCount="2")
    with pytest.raises(BulkResultError, match="has 1 root objects where Shopify announced 2"):
        list(reader.nodes(completed, io.BytesIO(RESULT)))


def test_nodes_are_read_as_they_are_asked_for(bulk_shop: BulkShop, reader: BulkReader) -> None:
    """So that memory does not grow with the store."""
    content = b"".join(json.dumps({"id": f"gid://shopify/Order/{n}"}).encode() + b"\n" for n in range(10_000))
    file = io.BufferedReader(io.BytesIO(content), buffer_size=4096)
    nodes = reader.nodes(bulk_shop.completed(content), file)
    next(nodes)
    assert file.tell() < 100
