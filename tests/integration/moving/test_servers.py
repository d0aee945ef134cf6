"""A tenant moves to another server: its BI tool logs in there as it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support import moving as move
from tests.support.installation import Installation
from tests.support.loopback import free_port
from tests.support.parsed_project import ParsedProject
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import grant_bi_role, password_address
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.registry import Tenant

pytestmark = pytest.mark.thorough

PASSWORD = "the merchant's own"


@pytest.fixture
def elsewhere(make_home: Callable[[], Path], parsed_project: ParsedProject, tmp_path: Path) -> Iterator[Installation]:
    """An installation on a server of its own, which takes logins with a password."""
    server = EmbeddedServer(make_home(), free_port())
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute("create database test_00001")  # as long as those of other tests: see ParsedProject
    database = Database(server.url.replace("/xeno?", "/test_00001?"))
    migrate(database)
    make_relations(database, DbtProject(Settings(home=tmp_path / "home", database_url=database.url)))
    yield Installation(database, KeyRing({"other": bytes(range(1, 33))}), tmp_path / "spool")
    server.stop()


def test_the_same_login_works_on_another_server(
    there: Installation, elsewhere: Installation, moving: Tenant, tmp_path: Path
) -> None:
    role = grant_bi_role(there.database, moving.tenant_id, PASSWORD)
    there.execute(
        "insert into marts.rfm_history (tenant_id, customer_id, valid_from) values (%s, 1, '2026-01-01')",
        moving.tenant_id,
    )
    move.export(there, moving.tenant_id, tmp_path / "archive")
    assert move.import_(elsewhere, tmp_path / "archive").notes == ()

    with elsewhere.database.connect() as connection:
        address = password_address(connection, is_embedded=True)
    assert address is not None
    with psycopg.connect(address.url(role.name, PASSWORD)) as connection:
        assert connection.execute("select tenant_id from marts.rfm_history").fetchall() == [(moving.tenant_id,)]
        assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address.url(role.name, "another"))
