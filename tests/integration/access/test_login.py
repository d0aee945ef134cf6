"""How the process logs in: on the owner's socket, or with a password of its own; what it is told where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from tests.support.database_roles import PLAIN, as_role
from tests.support.loopback import free_port
from tests.support.marked_rows import ATTACKER, register
from tests.support.serving import key_for
from xeno_pipeline.access.serving import open_serving_pool
from xeno_pipeline.database.connection import Database, DatabaseUnavailableError
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import RolesNotPermittedError
from xeno_pipeline.database.serving import prepare_serving, serving_url
from xeno_pipeline.settings import Settings

PASSWORD = "not / the owner's @ 50%"
HERE = {"host": "db"}


@pytest.mark.parametrize(
    ("url", "password", "parts"),
    [
        (
            "postgresql://owner:o@db:5433/shop?sslmode=require",
            None,
            {"host": "db", "port": "5433", "sslmode": "require"},
        ),
        ("postgresql://owner@db/shop", PASSWORD, HERE | {"password": PASSWORD}),
        ("postgresql://shop:o@db", PASSWORD, HERE | {"password": PASSWORD}),
        ("postgresql+psycopg2://db/shop", None, HERE),
    ],
)
def test_the_url_is_that_of_the_database_without_the_owner(
    tmp_path: Path, url: str, password: str | None, parts: dict[str, str]
) -> None:
    secret = SecretStr(password) if password else None
    settings = Settings(home=tmp_path, database_url=SecretStr(url), serving_password=secret)
    found = conninfo_to_dict(serving_url(settings))
    assert found == {"user": "xeno_serving", "dbname": "shop", **parts}


def test_the_owners_password_is_not_used(tmp_path: Path) -> None:
    url, password = SecretStr("postgresql://owner@db/shop"), SecretStr("the owner's")
    assert "the owner" not in serving_url(Settings(home=tmp_path, database_url=url, database_password=password))


@pytest.mark.thorough
def test_over_the_network_it_needs_its_own_password_which_never_reaches_the_log(
    make_home: Callable[[], Path], tmp_path: Path
) -> None:
    server = EmbeddedServer(make_home(), free_port())
    owner = Database(server.ensure_running())
    migrate(owner)
    with owner.connect() as connection:
        connection.execute("alter role xeno set log_statement = 'all'")
        register(connection, ATTACKER)
    url = SecretStr(f"postgresql://127.0.0.1:{server.tcp_port}/xeno")
    settings = Settings(home=tmp_path, database_url=url, serving_password=SecretStr(PASSWORD))
    with pytest.raises(
        DatabaseUnavailableError, match=r"`xeno db migrate`, run by the database's owner with XENO_SERV"
    ):
        open_serving_pool(settings)

    prepare_serving(owner, PASSWORD)
    secret = key_for(owner, [ATTACKER.tenant_id])
    with owner.connect(autocommit=True) as connection:
        connection.execute("alter role xeno_serving set log_min_duration_statement = 0")
        connection.execute("alter role xeno_serving set log_parameter_max_length = -1")
    pool = open_serving_pool(settings)
    try:
        with pool.unlocked(secret) as (connection, access):
            assert set(access.stores) == {ATTACKER.tenant_id}
            assert connection.info.user == "xeno_serving"
    finally:
        pool.close()
    log = (server.data_dir / "server.log").read_text()
    assert "SCRAM-SHA-256" in log
    assert PASSWORD not in log
    server.stop()


def test_an_embedded_server_is_started_and_prepared(make_home: Callable[[], Path]) -> None:
    settings = Settings(home=make_home())
    pool = open_serving_pool(settings)
    with psycopg.connect(serving_url(settings)) as connection:
        assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
        assert connection.execute("show search_path").fetchone() == ("serving, marts",)
    pool.close()


def test_an_owner_that_may_not_is_told_what_an_administrator_must_run(empty_database: Database) -> None:
    owner = as_role(empty_database, PLAIN, owner=True)
    migrate(owner)
    prepare_serving(owner)  # another owner on the server has made the login: there is nothing that needs a right
    with pytest.raises(RolesNotPermittedError, match=r"must run `alter role \"plain\" createrole`"):
        prepare_serving(owner, PASSWORD)
