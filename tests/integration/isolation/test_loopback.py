"""The embedded server listens on loopback for users with a password, and for nobody else, where it is told to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.loopback import free_port
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer, EmbeddedServerError
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import BiRole, grant_bi_role, password_address


@pytest.fixture(scope="module")
def listening(make_home: Callable[[], Path]) -> Iterator[EmbeddedServer]:
    """A server that listens; its database is migrated."""
    server = EmbeddedServer(make_home(), free_port())
    migrate(Database(server.ensure_running()))
    yield server
    server.stop()


@pytest.fixture
def role(listening: EmbeddedServer) -> BiRole:
    return grant_bi_role(Database(listening.url), None)


def url_of(server: EmbeddedServer, user: str, password: str | None = None, database: str = "xeno") -> str:
    credentials = f"{user}:{password}" if password else user
    return f"postgresql://{credentials}@127.0.0.1:{server.tcp_port}/{database}?connect_timeout=10"


def test_without_a_port_it_listens_on_no_network_at_all(server: EmbeddedServer) -> None:
    with Database(server.url).connect() as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        assert password_address(connection, is_embedded=True) is None


def test_with_a_port_a_role_logs_in_with_its_password_at_the_address_that_is_told(
    listening: EmbeddedServer, role: BiRole
) -> None:
    with Database(listening.url).connect() as owner:
        address = password_address(owner, is_embedded=True)
    assert address is not None

    with psycopg.connect(address.url(role.name, role.password)) as connection:
        assert connection.execute("select session_user::text").fetchone() == (role.name,)
        assert connection.info.host == "127.0.0.1"


def test_nobody_logs_in_over_the_network_without_the_right_password_not_even_the_owner(
    listening: EmbeddedServer, role: BiRole
) -> None:
    for user, password in ((role.name, "wrong"), (role.name, None), ("xeno", "xeno"), ("xeno", None)):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url_of(listening, user, password))


def test_no_rule_of_access_trusts_anybody_on_the_network(listening: EmbeddedServer) -> None:
    with Database(listening.url).connect() as connection:
        rules = connection.execute("select auth_method from pg_hba_file_rules where type <> 'local'").fetchall()
    assert {method for (method,) in rules} == {"scram-sha-256"}


def test_a_role_may_connect_to_no_other_database_of_the_server(listening: EmbeddedServer, role: BiRole) -> None:
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url_of(listening, role.name, role.password, database))


def test_no_password_reaches_the_server_or_its_log(listening: EmbeddedServer) -> None:
    owner = Database(listening.url)
    with owner.connect() as connection:
        connection.execute("alter role xeno set log_statement = 'all'")

    role = grant_bi_role(owner, None, "correct horse battery staple")

    log = (listening.data_dir / "server.log").read_text()
    assert f'alter role "{role.name}" login password' in log
    assert role.password not in log
    assert role.password not in repr(role)


def test_the_owners_socket_is_the_same_with_a_port_and_without(listening: EmbeddedServer) -> None:
    assert EmbeddedServer(listening.home).ensure_running() == listening.url
    psycopg.connect(listening.url).close()
    assert listening.socket_dir.stat().st_mode & 0o077 == 0


def test_a_port_is_taken_up_and_given_up_when_the_server_starts_anew(make_home: Callable[[], Path]) -> None:
    home, port = make_home(), free_port()

    def listens(tcp_port: int | None) -> bool:
        EmbeddedServer(home, tcp_port).ensure_running()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    assert not listens(None)
    assert not listens(port), "a server that runs is left alone"
    EmbeddedServer(home).stop()
    assert listens(port)
    EmbeddedServer(home).stop()
    assert not listens(None)


def test_a_port_that_is_taken_is_told_in_a_sentence(make_home: Callable[[], Path]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = EmbeddedServer(make_home(), other.getsockname()[1])
        with pytest.raises(EmbeddedServerError, match=r"cannot listen on port \d+ .*Address already in use.*another"):
            server.ensure_running()
    server.ensure_running()
