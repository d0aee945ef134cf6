"""Faults that a test orders, as a client meets them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import requests

from shopify_sandbox.control import ControlError, FaultKind, StoreControl
from shopify_sandbox.controls.faults import BULK_FAULTS, OTHER_FAULTS, REQUEST_FAULTS
from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from shopify_sandbox.tests.client import UNTIL, AdminClient, operation

SHOP = "query Shop { shop { name } }"
ORDERS = "query Orders { orders(first: 1) { nodes { id } } }"
BULK_ORDERS = "{ orders { edges { node { id } } } }"
BULK_LEDGER = "{ orders { edges { node { id agreements { edges { node { id } } } } } } }"
BULK_CUSTOMERS = "{ customers { edges { node { id } } } }"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    specs = [StoreSpec("faulty", orders=120, until=UNTIL, plan="Enterprise")]
    with SandboxProcess(specs, tmp_path_factory.mktemp("faulty")) as process:
        yield process


@pytest.fixture
def control(faulty: SandboxProcess) -> Iterator[StoreControl]:
    control = faulty.control.store("faulty")
    yield control
    control.clear_faults()


@pytest.fixture
def client(control: StoreControl) -> Iterator[AdminClient]:
    """A client that leaves no bulk operation running, which would take a slot of the next test."""
    client = AdminClient(control.api_url)
    yield client
    for found in client.data(operation("BulkOperationsRecent"), first=10)["bulkOperations"]["nodes"]:
        client.finish_bulk(found["id"])


def code(answer: dict[str, Any]) -> str:
    (problem,) = answer["errors"]
    found: str = problem["extensions"]["code"]
    return found


def test_a_fault_strikes_as_often_as_it_was_ordered(control: StoreControl, client: AdminClient) -> None:
    control.fault("internal_error", count=2)
    assert [("errors" in client.post(SHOP).json()) for _ in range(4)] == [True, True, False, False]
    assert control.waiting_faults() == []


def test_a_fault_waits_for_its_operation_named_in_the_request_or_in_its_text(
    control: StoreControl, client: AdminClient
) -> None:
    control.fault("internal_error", operation="Orders", count=2)
    assert "errors" not in client.post(SHOP).json()
    assert "errors" in client.post(ORDERS).json()
    assert "errors" in client.post(ORDERS, name="Orders").json()
    assert "errors" not in client.post(ORDERS).json()


def test_the_client_knows_every_kind_of_fault() -> None:
    assert set(get_args(FaultKind)) == {*REQUEST_FAULTS, *BULK_FAULTS, *OTHER_FAULTS}


def test_faults_can_be_cleared(control: StoreControl, client: AdminClient) -> None:
    control.fault("internal_error", count=100)
    control.clear_faults()
    assert "errors" not in client.post(SHOP).json()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "earthquake"}, "There is no fault 'earthquake'"),
        ({"kind": "reset", "bytes": 5}, "The fault reset takes no bytes"),
        ({"kind": "bulk_stuck", "operation": "Shop"}, "The fault bulk_stuck takes no operation"),
        ({"kind": "bulk_fail", "code": "OOPS"}, "A bulk operation does not fail with OOPS"),
    ],
)
def test_a_fault_there_is_not_is_refused(control: StoreControl, fault: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ControlError, match=sentence):
        control.post("faults", faults=[{"kind": "throttled"}, fault])
    assert control.waiting_faults() == []


# -- requests


def test_throttled_says_that_there_are_too_few_points(control: StoreControl, client: AdminClient) -> None:
    control.fault("throttled")
    response = client.post(ORDERS)
    assert response.status_code == 200
    assert code(response.json()) == "THROTTLED"
    cost = response.json()["extensions"]["cost"]
    assert cost["throttleStatus"]["currentlyAvailable"] < cost["requestedQueryCost"]


@pytest.mark.parametrize("status", [402, 403, 423, 429, 500, 502, 503])
def test_status_is_that_of_the_answer(control: StoreControl, client: AdminClient, status: int) -> None:
    control.fault("status", status=status)
    assert client.post(SHOP).status_code == status


def test_status_429_says_when_to_come_again(control: StoreControl, client: AdminClient) -> None:
    control.fault("status", status=429, retry_after="0.5")
    assert client.post(SHOP).headers["Retry-After"] == "0.5"


def test_internal_error_is_an_error_of_an_answer_with_status_200(control: StoreControl, client: AdminClient) -> None:
    control.fault("internal_error")
    response = client.post(SHOP)
    assert response.status_code == 200
    assert code(response.json()) == "INTERNAL_SERVER_ERROR"


def test_timeout_strikes_those_who_ask_for_too_much_at_once(control: StoreControl, client: AdminClient) -> None:
    control.fault("timeout", above=2, count=2)
    page = "query Page($first: Int!) { orders(first: $first) { nodes { id } } }"
    assert "errors" not in client.post(page, {"first": 2}).json()
    assert code(client.post(page, {"first": 3}).json()) == "TIMEOUT"
    by_id = "query ById($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert code(client.post(by_id, {"ids": ["gid://shopify/Order/1"] * 3}).json()) == "TIMEOUT"
    assert control.waiting_faults() == []


def test_access_denied_names_the_scope_and_gives_no_data(control: StoreControl, client: AdminClient) -> None:
    control.fault("access_denied", field="customers", scope="read_customers")
    answer = client.post(SHOP).json()
    assert answer["data"] is None
    assert code(answer) == "ACCESS_DENIED"
    assert "`read_customers`" in answer["errors"][0]["message"]


def test_reset_drops_the_connection_within_the_answer(control: StoreControl, client: AdminClient) -> None:
    control.fault("reset")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.post(SHOP)
    assert client.post(SHOP).ok


def test_hang_answers_nothing_for_its_seconds(control: StoreControl, client: AdminClient) -> None:
    control.fault("hang", seconds=0.4)
    began = time.monotonic()
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.post(SHOP)
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize(("executed", "started"), [(None, 0), (True, 1)])
def test_a_request_whose_answer_is_lost_did_nothing_or_what_it_should(
    control: StoreControl, client: AdminClient, executed: bool | None, started: int
) -> None:
    control.reset_stats()
    control.fault("reset", operation="Start", executed=executed)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.start_bulk(BULK_CUSTOMERS)
    assert control.stats()["bulk_operations"] == started


# -- bulk operations


@pytest.mark.parametrize("error_code", ["INTERNAL_SERVER_ERROR", "TIMEOUT", "ACCESS_DENIED"])
def test_bulk_fail_leaves_partial_data(control: StoreControl, client: AdminClient, error_code: str) -> None:
    control.fault("bulk_fail", code=error_code)
    done = client.bulk(BULK_ORDERS)
    assert (done["status"], done["errorCode"], done["url"]) == ("FAILED", error_code, None)
    assert requests.get(done["partialDataUrl"], timeout=30).ok


def test_bulk_expire_leaves_nothing_to_download(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_expire")
    done = client.bulk(BULK_ORDERS)
    assert (done["status"], done["url"], done["partialDataUrl"]) == ("EXPIRED", None, None)


def test_bulk_stuck_runs_until_it_is_cancelled(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_stuck")
    identity = client.start_bulk(BULK_ORDERS)["bulkOperation"]["id"]
    with pytest.raises(AssertionError, match="is still RUNNING"):
        client.finish_bulk(identity, seconds=0.3)
    client.data(operation("BulkOperationCancel"), id=identity)
    assert client.finish_bulk(identity)["status"] == "CANCELED"


def test_a_bulk_fault_waits_for_its_connection(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_fail", connection="orders")
    assert client.bulk(BULK_CUSTOMERS)["status"] == "COMPLETED"
    assert client.bulk(BULK_ORDERS)["status"] == "FAILED"
    assert client.bulk(BULK_ORDERS)["status"] == "COMPLETED"


def test_bulk_truncate_ends_every_download_early_but_cleanly(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_truncate", bytes=1000)
    done = client.bulk(BULK_ORDERS)
    for _ in range(2):
        answer = requests.get(done["url"], timeout=30)
        assert answer.headers["Content-Length"] == "1000"
        assert len(answer.content) == 1000 < int(done["fileSize"])


def test_bulk_reset_drops_downloads_that_can_be_resumed(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_reset", bytes=700, times=2)
    done = client.bulk(BULK_ORDERS)
    whole = b""
    drops = 0
    while len(whole) < int(done["fileSize"]):
        answer = requests.get(done["url"], headers={"Range": f"bytes={len(whole)}-"}, stream=True, timeout=30)
        assert answer.status_code == 206
        try:
            for piece in answer.iter_content(1):
                whole += piece
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            drops += 1
            assert len(whole) == 700 * drops
    assert drops == 2
    assert len([json.loads(line) for line in whole.splitlines()]) == 120


def test_bulk_malformed_garbles_one_line(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_malformed", line=7)
    lines = requests.get(client.bulk(BULK_ORDERS)["url"], timeout=30).content.splitlines()
    assert len(lines) == 120
    for number, line in enumerate(lines, start=1):
        if number == 7:
            with pytest.raises(ValueError, match=r"control character|Expecting|Invalid"):
                json.loads(line)
        else:
            json.loads(line)


def test_refuse_ledger_refuses_agreements_and_nothing_else(control: StoreControl, client: AdminClient) -> None:
    control.fault("refuse_ledger")
    assert not client.start_bulk(BULK_ORDERS)["userErrors"]
    (problem,) = client.start_bulk(BULK_LEDGER)["userErrors"]
    assert "must return a type that implements the 'Node' interface" in problem["message"]
    assert (problem["field"], problem["code"]) == (["query"], "INVALID")
    assert not client.start_bulk(BULK_LEDGER)["userErrors"]


def test_bulk_slots_are_taken_by_others_until_they_are_freed(control: StoreControl, client: AdminClient) -> None:
    control.fault("bulk_slots", slots=5)
    (problem,) = client.start_bulk(BULK_ORDERS)["userErrors"]
    assert (problem["field"], problem["code"]) == (None, "OPERATION_IN_PROGRESS")
    assert problem["message"].count("gid://shopify/BulkOperation/") == 5
    control.fault("bulk_slots", slots=0)
    assert not client.start_bulk(BULK_ORDERS)["userErrors"]


# -- the other controls of a store's API


def test_tokens_can_be_set_and_revoked(control: StoreControl, client: AdminClient) -> None:
    control.set_tokens("shpat_new")
    assert client.post(SHOP).status_code == 401
    assert AdminClient(control.api_url, "shpat_new").post(SHOP).ok
    control.set_tokens()
    assert AdminClient(control.api_url, "shpat_new").post(SHOP).status_code == 401
    control.set_tokens("shpat_sandbox")
    assert client.post(SHOP).ok


def test_scopes_can_be_taken_away(control: StoreControl, client: AdminClient) -> None:
    control.set_scopes("read_products")
    assert code(client.post(ORDERS).json()) == "ACCESS_DENIED"
    control.set_scopes("read_orders", "read_all_orders", "read_customers", "read_products")
    assert "errors" not in client.post(ORDERS).json()


def test_a_store_that_was_renamed_sends_on_from_its_former_address(control: StoreControl, client: AdminClient) -> None:
    control.rename("renamed")
    answer = client.session.post(client.url, json={"query": SHOP}, allow_redirects=False, timeout=30)
    assert answer.status_code == 301
    assert answer.headers["Location"] == "https://renamed.myshopify.com/admin/api/2026-10/graphql.json"
    renamed = AdminClient(control.api_url.replace("faulty", "renamed"))
    query = "query Shop { shop { id myshopifyDomain } }"
    told = renamed.post(query).json()["data"]["shop"]
    assert told["myshopifyDomain"] == "renamed.myshopify.com"
    control.rename("faulty")
    assert client.post(query).json()["data"]["shop"]["id"] == told["id"]


def test_a_plan_changes_the_bucket(control: StoreControl, client: AdminClient) -> None:
    control.set_plan("Standard")
    status = client.post(SHOP).json()["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (2000, 100)
    control.set_plan("Enterprise")
    with pytest.raises(ControlError, match="'Basic' is no plan"):
        control.set_plan("Basic")


def test_latency_slows_every_answer(control: StoreControl, client: AdminClient) -> None:
    control.set_latency(0.2)
    began = time.monotonic()
    client.post(SHOP)
    assert time.monotonic() - began >= 0.2
    control.set_latency(0)


def test_stats_count_what_happened_since_they_were_reset(control: StoreControl, client: AdminClient) -> None:
    control.reset_stats()
    control.fault("throttled")
    control.fault("status", status=502)
    for _ in range(4):
        client.post(ORDERS)
    requests.get(client.bulk(BULK_ORDERS)["url"], timeout=30)
    stats = control.stats()
    polls = stats["operations"]["BulkOperationStatus"]
    assert stats["operations"] == {"Orders": 3, "Start": 1, "BulkOperationStatus": polls}
    assert stats["requests"] == 4 + 1 + polls
    assert stats["statuses"] == {"200": stats["requests"] - 1, "502": 1}
    assert (stats["throttled"], stats["bulk_operations"], stats["downloads"]) == (1, 1, 1)
    assert stats["points"] == 2 * 3 + 10 + polls


def test_what_there_is_not_is_refused(control: StoreControl) -> None:
    with pytest.raises(ControlError, match="There is no /faulty/sandbox/explode"):
        control.post("explode")
    with pytest.raises(ControlError, match="unexpected keyword argument 'colour'"):
        control.post("place_order", colour="red")
