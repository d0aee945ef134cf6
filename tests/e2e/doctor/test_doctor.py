"""`xeno doctor` finds each fault, provoked for real, and names the remedy; where all is well it finds none.

That it finds nothing wrong with a deployed installation is a test of the deployment.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dagster._daemon.types import DaemonHeartbeat
from pydantic import SecretStr

from tests.support.installation import Installation, Shop
from tests.support.loopback import Quiet
from tests.support.xeno_command import EXECUTABLE
from xeno_pipeline.cli.render import show_diagnoses
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import newest_version
from xeno_pipeline.defs.doctor import diagnose_code_location, diagnose_dagster
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.extraction import inbox
from xeno_pipeline.monitoring.doctor.checks import diagnose_privacy, diagnose_webhooks
from xeno_pipeline.monitoring.doctor.database import connect_database, diagnose_schema
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, State, ok, wrong
from xeno_pipeline.monitoring.doctor.installation import diagnose_dbt_project
from xeno_pipeline.monitoring.doctor.secrets import diagnose_keys
from xeno_pipeline.monitoring.doctor.stores import diagnose_stores
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import key_file, load_key_ring


@pytest.fixture
def settings(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an installation on the test's database, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    for name, value in {"XENO_DATABASE_URL": database.url, "XENO_HOME": str(home), "DAGSTER_HOME": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME")  # set and taken back, so that what opens an instance leaves nothing behind
    return Settings()


@pytest.fixture
def installation(settings: Settings, database: Database) -> Installation:
    return Installation(database, load_key_ring(settings), settings.home / "spool")


def not_ok(findings: Sequence[Diagnosis]) -> list[Diagnosis]:
    return [finding for finding in findings if finding.state is not State.OK]


def the_problem(findings: Sequence[Diagnosis], subject: str) -> Diagnosis:
    """The one finding that is not all right; it is told with a remedy."""
    (problem,) = not_ok(findings)
    assert problem.subject == subject
    return problem


# --- the command ---


@pytest.mark.thorough
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_the_command_tells_each_fault_with_its_remedy_and_ends_with_1(tmp_path: Path) -> None:
    """A package of a wrong version, a disk that is full, and a database that is away, all at once."""
    packages, home = tmp_path / "packages", tmp_path / "home"
    (packages / "rich-1.0.dist-info").mkdir(parents=True)
    (packages / "rich-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: rich\nVersion: 1.0\n")
    home.mkdir()
    on_a_small_disk = f'mount -t tmpfs -o size=64m tmpfs "{home}" && exec "{EXECUTABLE}" doctor --json'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", on_a_small_disk],
        env={
            **os.environ,
            "PYTHONPATH": str(packages),
            "XENO_HOME": str(home),
            "XENO_DATABASE_URL": "postgresql://xeno:hunter2@127.0.0.1:9/xeno",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("this machine lets nobody mount a disk")
    assert done.returncode == 1, done.stderr
    told = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    faults = {subject: finding["message"] for subject, finding in told.items() if finding["state"] == "wrong"}
    assert faults.keys() == {"packages", "disk", "database"}
    assert faults["packages"] == "rich is 1.0 instead of >=14."
    assert told["packages"]["remedy"].startswith("Run `make install`")
    assert "Only 0.1 GiB are free" in faults["disk"]
    assert "Start it, or correct XENO_DATABASE_URL" in faults["database"]
    assert "hunter2" not in done.stdout + done.stderr


def test_people_are_shown_a_line_for_each_finding_with_its_remedy(capfd: pytest.CaptureFixture[str]) -> None:
    show_diagnoses([ok("python", "Python 3.13"), wrong("disk", "Only 0.1 GiB are free.", "Make room [soon].")])
    assert [line.rstrip().split(maxsplit=2) for line in capfd.readouterr().out.splitlines()] == [
        ["ok", "python", "Python 3.13"],
        ["wrong", "disk", "Only 0.1 GiB are free. Make room [soon]."],
    ]


# --- installation and Dagster ---


@pytest.mark.thorough
def test_a_dbt_project_that_cannot_be_parsed(settings: Settings, tmp_path: Path) -> None:
    (settings.home / "dbt").write_text("where the parsed project is to be")
    assert "File exists" in the_problem([diagnose_dbt_project(settings)], "dbt project").message


def test_a_code_location_that_does_not_load(settings: Settings) -> None:
    (settings.home / "dbt").write_text("where the parsed project is to be")
    assert "It does not load" in the_problem([diagnose_code_location(settings)], "code location").message


def test_a_dagster_home_that_is_none(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "nowhere"))
    assert "does not open" in the_problem(diagnose_dagster(settings), "dagster storage").message


def test_a_daemon_that_never_ran_went_silent_or_fails(settings: Settings) -> None:
    never = the_problem(diagnose_dagster(settings), "dagster daemon")
    assert (never.state, "`xeno dev`" in never.remedy) == (State.WARNING, True)

    def heard(seconds_ago: float) -> list[Diagnosis]:
        with open_instance(settings) as instance:
            for daemon in instance.get_required_daemon_types():
                instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, daemon, None))
        return diagnose_dagster(settings)

    assert not_ok(heard(seconds_ago=10)) == []
    silent = the_problem(heard(seconds_ago=600), "dagster daemon")
    assert (silent.state, "SCHEDULER" in silent.message) == (State.WRONG, True)


# --- the database ---


def test_a_database_whose_clock_is_wrong(settings: Settings, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("""
            create schema fake;
            create function fake.clock_timestamp() returns timestamptz return now() - interval '1 hour';
            """)
        connection.execute(f"alter database {connection.info.dbname} set search_path = fake, pg_catalog")
    _, findings = connect_database(settings)
    problem = the_problem(findings, "clock of the database")
    assert "s behind this machine's" in problem.message
    assert "NTP" in problem.remedy


@pytest.mark.parametrize(("version", "remedy"), [("0003", "xeno db migrate"), ("9999", "upgrade xeno-pipeline")])
def test_a_schema_that_is_behind_or_ahead(settings: Settings, database: Database, version: str, remedy: str) -> None:
    with database.connect() as connection:
        connection.execute("update ops.schema_version set version_num = %s", [version])
    is_migrated, findings = diagnose_schema(settings, database)
    problem = the_problem(findings, "migrations")
    assert not is_migrated
    assert f"at schema version {version}, this package needs {newest_version()}" in problem.message
    assert remedy in problem.remedy


def test_marts_that_were_not_made_by_this_version(settings: Settings, database: Database) -> None:
    _, findings = diagnose_schema(settings, database)
    assert "xeno db migrate" in the_problem(findings, "marts").remedy


@pytest.mark.thorough
def test_webhooks_that_were_given_up(settings: Settings, installation: Installation, shelf: Shop) -> None:
    installation.connect(shelf)
    with installation.database.connect() as connection:
        connection.execute(
            """
            insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream, read_gid, attempts)
            values (%s, 'a', 'orders/updated', 'orders', 'gid://shopify/Order/7', 11)
            """,
            [shelf.handle],
        )
        inbox.record_failures(connection, [1], "It could not be read.")
    assert (
        "xeno webhooks replay"
        in the_problem(diagnose_webhooks(settings, installation.database), f"store {shelf.handle}").remedy
    )


# --- keys ---


def test_keys_that_are_lost_are_other_ones_or_lie_open(
    settings: Settings, installation: Installation, shelf: Shop
) -> None:
    installation.connect(shelf)
    path = key_file(settings)

    def examined() -> Diagnosis:
        return the_problem(diagnose_keys(settings, installation.database)[1], "encryption keys")

    path.chmod(0o644)
    assert (examined().state, "chmod 600" in examined().remedy) == (State.WARNING, True)
    keys = path.read_text()
    path.write_text(f"another:{b64encode(bytes(32)).decode()}\n")
    path.chmod(0o600)
    assert f"{shelf.handle}: its token is encrypted under key" in examined().message
    path.write_text(f"{keys.partition(':')[0]}:{b64encode(bytes(32)).decode()}\n")
    assert "cannot be decrypted" in examined().message
    path.write_text("no key at all")
    assert "must hold `id:base64` pairs" in examined().message
    path.unlink()
    assert "Restore the keys" in examined().remedy
    assert not path.exists(), "looking made a key"


def test_secrets_under_an_older_key(settings: Settings, installation: Installation, shelf: Shop) -> None:
    installation.connect(shelf)
    (old,) = key_file(settings).read_text().split()
    both = SecretStr(f"new:{b64encode(bytes(range(32))).decode()},{old}")
    _, findings = diagnose_keys(settings.model_copy(update={"encryption_keys": both}), installation.database)
    assert "xeno db rotate-key" in the_problem(findings, "encryption keys").remedy


# --- stores ---


def examined(settings: Settings, installation: Installation) -> list[Diagnosis]:
    return diagnose_stores(settings, installation.database, installation.ring)


def test_stores_that_answer_are_told_together(settings: Settings, installation: Installation, shelf: Shop) -> None:
    assert "xeno tenant add" in the_problem(examined(settings, installation), "stores").remedy
    installation.connect(shelf)
    findings = examined(settings, installation)
    assert not_ok(findings) == []
    assert [finding.subject for finding in findings] == ["stores", f"clock of {shelf.handle}"]


def test_a_token_that_was_revoked_lacks_a_scope_or_sees_60_days_and_a_suspended_store_is_left_alone(
    settings: Settings, installation: Installation, shop: Shop, shelf: Shop
) -> None:
    installation.connect(shelf)
    installation.connect(shop)
    subject = f"store {shop.handle}"

    shop.control.set_scopes("read_orders", "read_products", "read_customers")
    warned = the_problem(examined(settings, installation), subject)
    assert (warned.state, "last 60 days" in warned.message) == (State.WARNING, True)
    shop.control.set_scopes("read_orders", "read_products")
    assert "lacks the access scope read_customers" in the_problem(examined(settings, installation), subject).message
    shop.control.set_tokens()
    revoked = the_problem(examined(settings, installation), subject)
    assert (revoked.state, f"xeno tenant set-token {shop.handle}" in revoked.message) == (State.WRONG, True)

    with installation.database.connect() as connection:
        registry.set_status(connection, shop.handle, "suspended")
    assert not_ok(examined(settings, installation)) == []


def test_a_store_that_is_another_one_or_cannot_be_reached(
    settings: Settings, installation: Installation, shelf: Shop, depot: Shop
) -> None:
    tenant = installation.connect(shelf)

    def move(url: str) -> Diagnosis:
        with installation.database.connect() as connection:
            connection.execute("update ops.tenants set api_url = %s where tenant_id = %s", [url, tenant.tenant_id])
        return next(f for f in examined(settings, installation) if f.subject == f"store {tenant.tenant_id}")

    assert "is another shop" in move(depot.api_url).message
    assert "could not connect" in move("http://127.0.0.1:9/shelf").message


def test_subscriptions_that_are_missing(settings: Settings, installation: Installation, shelf: Shop) -> None:
    installation.connect(shelf)
    with installation.database.connect() as connection:
        connection.execute(
            """
            insert into ops.webhook_subscriptions (tenant_id, callback_url, missing) values (%s, '', '{orders/create}')
            """,
            [shelf.handle],
        )
    public = settings.model_copy(update={"public_url": "https://gateway.example.com"})
    problem = the_problem(diagnose_webhooks(public, installation.database), f"store {shelf.handle}")
    assert (problem.state, problem.message) == (State.WRONG, "it is not subscribed to orders/create.")
    assert problem.remedy == f"Try `xeno webhooks register {shelf.handle}`."
    assert not_ok(diagnose_webhooks(settings, installation.database)) == []


def test_privacy_requests_near_their_deadline(settings: Settings, installation: Installation, shelf: Shop) -> None:
    installation.connect(shelf)
    assert not_ok(diagnose_privacy(settings, installation.database)) == []
    with installation.database.connect() as connection:
        connection.execute(
            """
            insert into ops.privacy_requests (tenant_id, shop_domain, kind, webhook_id, deadline_at)
            values (%s, 'shelf.example', 'customers/redact', '1', now() + interval '1 day')
            """,
            [shelf.handle],
        )
    problem = the_problem(diagnose_privacy(settings, installation.database), f"store {shelf.handle}")
    assert (problem.state, problem.remedy) == (State.WARNING, "Try `xeno privacy run`.")


def test_a_store_whose_clock_is_another(
    settings: Settings, installation: Installation, shelf: Shop, late_host: str
) -> None:
    tenant = installation.connect(shelf)
    with installation.database.connect() as connection:
        connection.execute("update ops.tenants set api_url = %s where tenant_id = %s", [late_host, tenant.tenant_id])
    told = {finding.subject: finding.message for finding in not_ok(examined(settings, installation))}
    assert "behind this machine's" in told[f"clock of {shelf.handle}"]


@pytest.fixture
def late_host() -> Iterator[str]:
    """A web server that lives two hours ago."""

    class Late(Quiet, BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        do_POST = do_HEAD  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/late"
        server.shutdown()
