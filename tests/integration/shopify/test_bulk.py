"""Bulk operations at a sandbox store."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from shopify_sandbox.control import StoreControl
from xeno_pipeline.extraction.streams import STREAMS
from xeno_pipeline.shopify import bulk
from xeno_pipeline.shopify.bulk import BulkReader
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import BulkFailedError, BulkRefusedError, BulkResultError
from xeno_pipeline.shopify.queries import bulk_query

Store = Callable[[str], tuple[ShopifyClient, StoreControl]]


def run(client: ShopifyClient, name: str = "OrdersBulk") -> list[dict[str, Any]]:
    reader, result = BulkReader(client), io.BytesIO()
    completed = reader.wait(reader.start(bulk_query(name)))
    reader.download(completed, result)
    return list(reader.nodes(completed, result))


def test_several_operations_run_side_by_side(store: Store) -> None:
    client, control = store("steady")
    found: dict[str, set[str]] = {}

    def read(name: str) -> None:
        found[name] = {line["__typename"] for line in run(client.clone(), name) if "__parentId" not in line}

    threads = [threading.Thread(target=read, args=(stream.bulk,)) for stream in STREAMS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {
        "OrdersBulk": {"Order"},
        "CustomersBulk": {"Customer"},
        "ProductsBulk": {"Product"},
        "AbandonedCheckoutsBulk": {"AbandonedCheckout"},
    }
    assert control.stats()["bulk_operations"] == 4


def test_others_operations_are_waited_for(store: Store) -> None:
    client, control = store("steady")
    control.fault("bulk_slots", slots=5)
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            control.fault("bulk_slots", slots=4)  # one of the others is done

    client.sleep = nap
    assert BulkReader(client).start(bulk_query("CustomersBulk")).status == "CREATED"
    assert len(naps) == 3


def test_an_empty_store_has_an_empty_result(store: Store) -> None:
    client, control = store("empty")
    assert run(client) == []
    assert control.stats()["downloads"] == 0


def test_a_result_arrives_whole_over_a_connection_that_breaks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK_BYTES", 10_000)
    client, control = store("steady")
    undisturbed = {line["id"] for line in run(client)}
    control.fault("bulk_reset", bytes=100_000, times=2)
    assert {line["id"] for line in run(client)} == undisturbed
    assert control.stats()["downloads"] >= 1 + 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("bulk_fail", BulkFailedError),
        ("bulk_expire", BulkFailedError),
        ("bulk_truncate", BulkResultError),
        ("bulk_malformed", BulkResultError),
    ],
)
def test_what_goes_wrong_with_one_operation_leaves_the_next_alone(
    fault: Any, error: type[Exception], store: Store
) -> None:
    client, control = store("steady")
    control.fault(fault)
    with pytest.raises(error, match=r"^steady: .* Run the sync again"):
        run(client)
    assert len(run(client)) > 300


def test_a_running_operation_can_be_adopted_and_cancelled(store: Store) -> None:
    client, control = store("steady")
    control.fault("bulk_stuck")
    started = BulkReader(client).start(bulk_query("OrdersBulk"))
    reader = BulkReader(client.clone())
    adopted = reader.start(bulk_query("OrdersBulk"))
    assert adopted.id == started.id
    reader.cancel(adopted)
    with pytest.raises(BulkFailedError, match="ended as CANCELED"):
        reader.wait(adopted)
    reader.cancel(adopted)
    found = reader.find(adopted.id)
    assert found is not None
    assert found.status == "CANCELED"


def test_a_ledger_that_bulk_refuses_is_told_as_a_refusal(store: Store) -> None:
    client, control = store("steady")
    control.fault("refuse_ledger")
    with pytest.raises(BulkRefusedError, match="agreements"):
        run(client)
    assert {line["__typename"] for line in run(client)} >= {"Order", "LineItem"}
