"""The deployed shape: what `docker-compose.yml` says is valid, and what its services run works."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import signal
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.containers import COMPOSE_FILE, DOCKERFILE, Containers
from tests.support.installation import Shop
from tests.support.loopback import free_port
from tests.support.webserver_runs import await_success, launch_run
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.monitoring.channels import channels
from xeno_pipeline.settings import PROJECT_DIR, load_settings

pytestmark = pytest.mark.thorough

SERVICES = ("code", "webserver", "daemon", "gateway", "insights")
START_SECONDS = 150
"""Five processes, four of which import Dagster, on two cores that run other tests too."""
RUN_SECONDS = 150
ALERT_ADDRESSES = {"XENO_ALERT_EMAIL_TO", "XENO_ALERT_EMAIL_FROM"}
RUNS = {"XENO_EVENTS_QUIET_SECONDS", "XENO_EVENTS_RUN_MINUTES"}
ALERT_SECRETS = {"xeno_smtp_url", "xeno_alert_webhook_url"}
PASSWORD = "a password: of /all %20 kinds?"
"""What no URL could hold as it is."""


@pytest.fixture(scope="module")
def containers(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The services, none of them started, and an embedded server in the database's stead."""
    port = free_port()
    postgres = EmbeddedServer(make_home(), port)
    with psycopg.connect(postgres.ensure_running(), autocommit=True) as connection:
        connection.execute(f"alter role xeno password '{PASSWORD}'")
    given = {
        "xeno_database_password": PASSWORD,
        "xeno_serving_password": PASSWORD[::-1],
        "xeno_encryption_keys": f"k1:{b64encode(secrets.token_bytes(32)).decode()}",
        "xeno_shopify_api_secret": "shpss_compose",
        "xeno_shopify_api_secret_previous": "",
        "xeno_smtp_url": "",
        "xeno_alert_webhook_url": "",
    }
    with Containers(tmp_path_factory.mktemp("containers"), port, given) as made:
        made.build()
        yield made
    postgres.stop()


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed (Debian's package)")
def test_the_compose_file_is_valid(tmp_path: Path) -> None:
    command = ["docker-compose", "--file", str(COMPOSE_FILE), "config", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_listens_beyond_loopback_and_nothing_runs_as_root(containers: Containers) -> None:
    published = [port for service in containers.services.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert re.findall(r"^USER (.+)$", DOCKERFILE.read_text(), re.MULTILINE) == ["xeno"]


def test_no_secret_is_in_an_environment_and_each_service_has_only_its_own(containers: Containers) -> None:
    everywhere = {"XENO_HOME", "XENO_DATABASE_URL", "XENO_PUBLIC_URL", "XENO_SECRETS_DIR"}
    everywhere |= {"XENO_SHOPIFY_API_KEY", "XENO_SHOPIFY_SCOPES", "XENO_INBOX_DAYS", "XENO_RUN_DAYS"}
    insights = {"XENO_HOME", "XENO_DATABASE_URL", "XENO_INSIGHTS_URL", "XENO_SECRETS_DIR"}
    insights |= {"XENO_INSIGHTS_REQUESTS_PER_MINUTE", "XENO_FRAME_ANCESTORS", "XENO_DAGSTER_URL"}
    for service in SERVICES:
        variables = {name for name in containers.environment(service) if name.startswith("XENO_")}
        own = ALERT_ADDRESSES | RUNS | {"XENO_INSIGHTS_URL"} if service == "code" else set()
        assert variables == (insights if service == "insights" else everywhere | own)
        alerts = ALERT_SECRETS & set(containers.services[service]["secrets"])
        assert alerts == (ALERT_SECRETS if service == "code" else set())
    assert containers.services["insights"]["secrets"] == ["xeno_serving_password"]
    assert containers.services["insights"]["volumes"] == []
    assert containers.services["webserver"]["secrets"] == ["xeno_database_password"]
    assert containers.services["daemon"]["secrets"] == ["xeno_database_password"]


def test_nobody_is_told_of_anything_until_the_deployment_says_whom(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = containers.environment("code")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert channels(load_settings()) == []

    for name in ALERT_ADDRESSES:
        monkeypatch.setenv(name, "someone@example.com")
    (Path(environment["XENO_SECRETS_DIR"]) / "xeno_smtp_url").write_text("smtp://me:secret@mail.example.com:587\n")
    (Path(environment["XENO_SECRETS_DIR"]) / "xeno_alert_webhook_url").write_text("https://hooks.example.com/x\n")
    assert [channel.name for channel in channels(load_settings())] == ["email", "webhook"]


def test_the_image_holds_no_secret_and_no_state() -> None:
    ignored = (PROJECT_DIR / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert not [line for line in ignored if "secrets" in line or ".env" in line or ".xeno" in line]


@pytest.mark.timeout(600)
def test_what_the_services_run_reads_a_store_through_the_daemon_and_the_code_location(
    containers: Containers, shelf: Shop, tmp_path: Path
) -> None:
    assert "is up to date" in containers.run("migrate")
    assert not list((Path(containers.environment("code")["XENO_HOME"]) / "dbt").glob("*")), (
        "the baked parse is not used"
    )
    containers.start(*SERVICES)
    for service in SERVICES:
        containers.await_health(service, START_SECONDS)

    added = ["xeno", "tenant", "add", shelf.handle, "--api-url", shelf.api_url]
    assert "is connected" in containers.run("code", *added)
    run_id = launch_run(containers.url(3000), "sync")
    await_success(containers.url(3000), run_id, RUN_SECONDS)
    statement = "select count(*) from marts.fct_orders"
    assert containers.run("code", "xeno", "db", "psql", "-tAc", statement).strip() == "60"
    assert requests.get(f"{containers.url(8710)}/readyz", timeout=10).text == "ok"
    key = containers.run("code", "xeno", "insights", "key", "shelf", shelf.handle).strip()
    stores = requests.get(
        f"{containers.url(8720)}/api/v1/stores", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    assert [store["store"] for store in stores.json()["data"]] == [shelf.handle]
    findings = json.loads(containers.run("code", "xeno", "doctor", "--json"))
    assert [finding for finding in findings if finding["state"] != "ok"] == []

    codes = containers.stop()
    assert set(codes.values()) <= {0, -signal.SIGTERM}
