"""The server as a process: what survives its end, what ends with it, and what its command line refuses."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from shopify_sandbox.__main__ import main, stores
from shopify_sandbox.process import SandboxProcess, arguments
from shopify_sandbox.spec import StoreSpec, demo_specs
from shopify_sandbox.tests.client import UNTIL, AdminClient, operation

SPEC = StoreSpec("acme", orders=60, until=UNTIL, plan="Enterprise")
IDS = "{ orders { edges { node { id } } } }"


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so, as long as another process may need for it."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("end", [SandboxProcess.stop, SandboxProcess.kill], ids=["stopped", "killed"])
def test_everything_survives_a_restart(tmp_path: Path, end: Callable[[SandboxProcess], None]) -> None:
    sandbox = SandboxProcess([SPEC], tmp_path).start()
    try:
        control, client = sandbox.control.store("acme"), AdminClient(f"{sandbox.url}/acme")
        control.set_clock(at="2026-07-01T00:00:00Z")
        control.place_order(new_customer=True)
        control.delete_order(5_400_000_000_000)
        control.set_tokens("shpat_sandbox", "shpat_other")
        control.set_scopes("read_orders", "read_all_orders", "read_customers", "read_products", "write_orders")
        done = client.bulk(IDS)
        content = requests.get(done["url"], timeout=30).content
        orders = client.pages("OrdersPage", first=50)
        end(sandbox)
        sandbox.start()
        again = AdminClient(f"{sandbox.url}/acme", "shpat_other")
        assert again.pages("OrdersPage", first=50) == orders
        assert again.data(operation("BulkOperationStatus"), id=done["id"])["bulkOperation"] == done
        assert requests.get(done["url"], timeout=30).content == content
        scopes = again.data(operation("Shop"))["currentAppInstallation"]["accessScopes"]
        assert {"handle": "write_orders"} in scopes
        control.update_order(5_400_000_032_768)
        assert client.data('{ order(id: "gid://shopify/Order/5400000032768") { updatedAt } }') == {
            "order": {"updatedAt": "2026-07-01T00:00:00Z"}
        }
    finally:
        sandbox.stop()


def test_a_bulk_operation_that_was_running_completes_after_a_restart(tmp_path: Path) -> None:
    spec = StoreSpec("acme", orders=6_000, until=UNTIL, plan="Enterprise")
    with SandboxProcess([spec], tmp_path) as sandbox:
        client = AdminClient(f"{sandbox.url}/acme")
        started = client.start_bulk(operation("OrdersBulk"))["bulkOperation"]["id"]
        sandbox.kill()
        sandbox.start()
        done = client.finish_bulk(started, seconds=60)
        assert (done["status"], done["rootObjectCount"]) == ("COMPLETED", "6000")
        assert requests.get(done["url"], timeout=60).content.count(b"\n") == int(done["objectCount"])


def test_another_spec_is_another_store(tmp_path: Path) -> None:
    for spec, orders in [(SPEC, 61), (StoreSpec("acme", orders=50, until=UNTIL), 51)]:
        with SandboxProcess([spec], tmp_path) as sandbox:
            sandbox.control.store("acme").place_order()
            assert sandbox.control.stores()[0]["orders"] == orders


def test_history_ends_when_a_store_was_first_made(tmp_path: Path) -> None:
    spec = StoreSpec("acme", orders=50)
    last = "{ orders(last: 1, sortKey: CREATED_AT) { nodes { createdAt } } }"
    found = []
    for _ in range(2):
        with SandboxProcess([spec], tmp_path) as sandbox:
            found.append(AdminClient(f"{sandbox.url}/acme").data(last))
    assert found[0] == found[1]


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
def test_workers_end_with_a_server_that_was_killed(tmp_path: Path) -> None:
    spec = StoreSpec("acme", orders=20_000, until=UNTIL)
    sandbox = SandboxProcess([spec], tmp_path).start()
    try:
        client = AdminClient(f"{sandbox.url}/acme")
        client.start_bulk(operation("OrdersBulk"))
        eventually(lambda: len(_children(sandbox.pid)) >= 1)
        workers = _children(sandbox.pid)
    finally:
        sandbox.kill()
    eventually(lambda: not any(_is_alive(worker) for worker in workers))


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_api_answers_while_a_bulk_operation_runs(tmp_path: Path) -> None:
    with SandboxProcess([StoreSpec("acme", orders=20_000, until=UNTIL)], tmp_path) as sandbox:
        client = AdminClient(f"{sandbox.url}/acme")
        started = client.start_bulk(operation("OrdersBulk"))["bulkOperation"]["id"]
        counts = []

        def progressed() -> bool:
            found = client.data(operation("BulkOperationStatus"), id=started)["bulkOperation"]
            counts.append(int(found["objectCount"]))
            return bool(found["status"] == "RUNNING" and counts[-1] > 0)

        eventually(progressed)
        assert counts == sorted(counts)
        client.data(operation("BulkOperationCancel"), id=started)
        done = client.finish_bulk(started)
        assert (done["status"], done["url"]) == ("CANCELED", None)


# -- the command line


def test_a_port_in_use_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--state-dir", str(tmp_path), "--port", str(port), "--generate", "a=1"]) == 2
    refused = capsys.readouterr().err
    assert refused == f"Port {port} is in use: stop what listens there, or choose another with --port.\n"


def test_stores_that_another_server_serves_are_left_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxProcess([SPEC], tmp_path):
        assert main(["--state-dir", str(tmp_path), "--port", "0", "--generate", "a=1"]) == 2
    assert capsys.readouterr().err == f"Another sandbox serves the stores of {tmp_path}: stop it first.\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--generate", "acme"], "--generate 'acme' is not of the form HANDLE=ORDERS."),
        (["--generate", "acme=many"], "--generate 'acme=many' is not of the form HANDLE=ORDERS."),
        (["--orders-csv", "acme=missing.csv"], "There is no file missing.csv."),
        (["--generate", "a=1", "--currency", "b=EUR"], "--currency is of the store b, which is neither generated nor"),
        (["--generate", "a=1", "--timezone", "a=Mars"], "'Mars' is no time zone, such as Europe/Berlin."),
        (["--generate", "a=1", "--until", "soon"], "'soon' is no time, such as 2026-06-30T00:00:00Z."),
        (
            ["--generate", "a=1", "--orders-csv", "a=x.csv"],
            "Store a cannot be more than one of generated, drawn and read from a file.",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert main(["--state-dir", str(tmp_path), "--port", "0", *options]) == 2
    refused = capsys.readouterr().err
    assert refused.startswith(sentence)
    assert refused.count("\n") == 1


def test_without_a_store_the_demo_is_served() -> None:
    assert stores() == demo_specs()


def test_a_process_is_given_all_of_a_spec() -> None:
    spec = StoreSpec(
        "acme", 5, None, "EUR", "Europe/Berlin", 3, UNTIL, False, "Plus", ("read_orders", "read_products"), "shpat_own"
    )
    options: dict[str, list[str]] = {}
    given = arguments([spec])
    for option, value in zip(given[::2], given[1::2], strict=True):
        options.setdefault(option.removeprefix("--"), []).append(value)
    assert stores(**options) == [spec]


def test_the_server_ends_at_once_when_it_is_asked_to(tmp_path: Path) -> None:
    sandbox = SandboxProcess([SPEC], tmp_path).start()
    server = sandbox.pid
    AdminClient(f"{sandbox.url}/acme").bulk(IDS)
    began = time.monotonic()
    os.kill(server, signal.SIGTERM)
    sandbox.stop()
    assert time.monotonic() - began < 8


def test_a_thousand_stores_start_as_soon_as_one_does(tmp_path: Path) -> None:
    specs = [StoreSpec(f"store-{number:04}", orders=20) for number in range(1000)]
    with SandboxProcess(specs, tmp_path) as sandbox:
        assert len(sandbox.control.stores()) == 1000
        assert not list(tmp_path.glob("store-*"))  # none was opened yet
        assert sandbox.control.store("store-0999").place_order()["orders"]
        assert [folder.name for folder in tmp_path.glob("store-*")] == ["store-0999"]
