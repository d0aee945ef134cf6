"""The gateway while its database is away, when it comes back, and when it is itself killed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.gateway_process import SECRET, GatewayProcess
from tests.support.installation import Installation
from tests.support.xeno_command import Xeno
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

ORDER = {"id": 7, "updated_at": "2026-06-30T12:00:00Z"}
FACTS = ("gid://shopify/Shop/1", "acme.myshopify.com", "http://127.0.0.1:9/acme", "Acme", "EUR", "UTC", "Plus", [])


@pytest.fixture
def own_server(make_home: Callable[[], Path]) -> EmbeddedServer:
    """A server that the test may stop, with one tenant."""
    server = EmbeddedServer(make_home())
    database = Database(server.ensure_running())
    migrate(database)
    with database.connect() as connection:
        registry.add(connection, Tenant("acme", *FACTS))
    return server


def test_while_the_database_is_away_deliveries_are_answered_503_and_afterwards_kept(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    with GatewayProcess(own_server.url, tmp_path) as gateway:
        assert gateway.deliver(ORDER, webhook_id="before").status_code == 200
        assert gateway.get("/readyz").status_code == 200
        own_server.stop()

        refused = gateway.deliver(ORDER, webhook_id="meanwhile")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert gateway.get("/readyz").status_code == 503
        assert gateway.get("/healthz").status_code == 200

        own_server.ensure_running()
        with Database(own_server.url).connect() as connection:
            connection.execute("update ops.schema_version set version_num = '0001'")
        behind = gateway.get("/readyz")
        assert (behind.status_code, "at schema version 0001" in behind.text) == (503, True)
        with Database(own_server.url).connect() as connection:
            connection.execute("update ops.schema_version set version_num = '9999'")
        assert gateway.get("/readyz").status_code == 200, "a newer release is being rolled out"
        with Database(own_server.url).connect() as connection:
            connection.execute("alter table ops.webhook_inbox rename column payload to content")
        assert gateway.get("/readyz").status_code == 503
        with Database(own_server.url).connect() as connection:
            connection.execute("alter table ops.webhook_inbox rename column content to payload")
        assert gateway.deliver(ORDER, webhook_id="meanwhile").status_code == 200
        assert gateway.deliver(ORDER, webhook_id="after").status_code == 200
        with Database(own_server.url).connect() as connection:
            kept = connection.execute("select webhook_id from ops.webhook_inbox order by id").fetchall()
        assert kept == [("before",), ("meanwhile",), ("after",)]


def test_a_gateway_that_starts_while_the_database_is_away_waits_for_it(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    own_server.stop()
    with GatewayProcess(own_server.url, tmp_path) as gateway:
        assert gateway.deliver(ORDER).status_code == 503
        own_server.ensure_running()
        assert gateway.deliver(ORDER).status_code == 200


def test_what_was_acknowledged_is_kept_though_the_gateway_is_killed(
    make_database: Callable[[], Database], ring: KeyRing, tmp_path: Path
) -> None:
    kept = Installation(make_database(), ring, tmp_path / "spool")
    with kept.database.connect() as connection:
        registry.add(connection, Tenant("acme", *FACTS))
    acknowledged: list[str] = []
    enough = threading.Event()
    with GatewayProcess(kept.database.url, tmp_path) as gateway, ThreadPoolExecutor(8) as pool:

        def deliver_until_killed() -> None:
            while True:
                name = str(uuid4())
                try:
                    answer = gateway.deliver(ORDER, webhook_id=name)
                except OSError:  # requests' errors are: the gateway is gone
                    return
                assert answer.status_code == 200
                acknowledged.append(name)
                if len(acknowledged) > 100:
                    enough.set()

        senders = [pool.submit(deliver_until_killed) for _ in range(8)]
        assert enough.wait(60), "a hundred deliveries take about a second"
        gateway.process.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.result(60)
    found = kept.value("select count(*) from ops.webhook_inbox where webhook_id = any(%s)", acknowledged)
    assert found == len(acknowledged)


def test_without_the_apps_secret_the_gateway_says_what_to_set(database: Database, tmp_path: Path) -> None:
    said = Xeno(tmp_path, {"XENO_DATABASE_URL": database.url})("gateway", "serve", "--port", "0")
    assert said.exit_code == 2
    assert "XENO_SHOPIFY_API_SECRET is not set" in said.err


def test_a_port_in_use_is_told_in_a_sentence(database: Database, tmp_path: Path) -> None:
    with GatewayProcess(database.url, tmp_path) as gateway:
        settings = {"XENO_DATABASE_URL": database.url, "XENO_SHOPIFY_API_SECRET": SECRET}
        said = Xeno(tmp_path, settings)("gateway", "serve", "--port", gateway.url.rpartition(":")[2])
    assert said.exit_code == 1
    assert "cannot listen at" in said.err
    assert "Traceback" not in said.err
