"""`xeno tenant bi-role` makes a role and says how a BI tool connects with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.loopback import free_port
from tests.support.marked_rows import ATTACKER, register
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.database.connection import Database

pytestmark = pytest.mark.thorough


@pytest.fixture
def xeno(database: Database, tmp_path: Path) -> Xeno:
    """`xeno` on a database with a tenant."""
    with database.connect() as connection:
        register(connection, ATTACKER)
    return Xeno(tmp_path, {"XENO_DATABASE_URL": database.url})


def last_line(said: Said) -> str:
    assert said.exit_code == 0, said.err
    return said.out.splitlines()[-1]


def test_it_prints_a_line_for_psql_and_a_url_that_work(xeno: Xeno) -> None:
    said = xeno("tenant", "bi-role", "mallory", "--password", "-", stdin="open/sesame?\n")

    with psycopg.connect(last_line(said)) as connection:
        assert connection.info.password == "open/sesame?"
        assert f"psql postgresql://{connection.info.user}@" in said.out
        assert connection.execute("show search_path").fetchone() == ("marts",)
    assert said.err == ""


def test_a_role_that_is_revoked_is_gone(xeno: Xeno) -> None:
    url = last_line(xeno("tenant", "bi-role", "mallory"))
    assert last_line(xeno("tenant", "bi-role", "mallory", "--revoke")) == "The role is dropped."
    assert last_line(xeno("tenant", "bi-role", "mallory", "--revoke")) == "There was no such role."
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_roles_have_names_and_are_listed_without_a_password(xeno: Xeno) -> None:
    first, second = (last_line(xeno("tenant", "bi-role", "mallory", *name)) for name in ((), ("--name", "metabase")))
    listed = xeno("tenant", "bi-role", "--list").out
    for url, name in ((first, "bi"), (second, "metabase")):
        user, password = url.partition("//")[2].partition("@")[0].split(":")
        assert f"mallory  {name} " in listed
        assert user in listed
        assert password not in listed
    xeno("tenant", "bi-role", "mallory", "--name", "metabase", "--revoke")
    psycopg.connect(first).close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(second)


def test_a_suspended_tenants_role_does_not_log_in_until_it_is_resumed(xeno: Xeno) -> None:
    url = last_line(xeno("tenant", "bi-role", "mallory"))
    xeno("tenant", "suspend", "mallory")
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(url)
    assert "mallory is suspended" in xeno("tenant", "bi-role", "mallory").err

    xeno("tenant", "resume", "mallory")
    psycopg.connect(url).close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name one tenant, or give --all for a role that sees all of them."),
        (["mallory", "--all"], "Name one tenant, or give --all for a role that sees all of them."),
        (["mallory", "--name", "Meta Base"], "'Meta Base' is no name for a role: lower-case letters"),
        (["nobody"], "There is no tenant 'nobody': `xeno tenant list` shows them, `xeno tenant add` adds one."),
        (["nobody", "--revoke"], "There is no tenant 'nobody': `xeno tenant list` shows them"),
        (["mallory", "--password", "hunter2"], "A password on the command line can be seen by others"),
        (["mallory", "--password", "-"], "No password was given: pipe it in with `--password -`."),
    ],
)
def test_what_it_cannot_take_is_told_in_a_sentence(xeno: Xeno, arguments: list[str], sentence: str) -> None:
    said = xeno("tenant", "bi-role", *arguments)

    assert (said.exit_code, said.out) == (2, "")
    assert said.err.startswith(sentence)
    assert "hunter2" not in said.err


def test_an_embedded_server_is_told_to_listen_and_to_start_anew(make_home: Callable[[], Path]) -> None:
    xeno, port = Xeno(make_home()), str(free_port())

    deaf = xeno("tenant", "bi-role", "--all")
    assert "set XENO_POSTGRES_PORT (5433, for example) and run `xeno db stop`" in deaf.err
    assert "postgresql://" not in deaf.out

    told = xeno("tenant", "bi-role", "--all", XENO_POSTGRES_PORT=port)
    assert f"started before XENO_POSTGRES_PORT={port} was set" in told.err

    xeno("db", "stop")
    said = xeno("tenant", "bi-role", "--all", XENO_POSTGRES_PORT=port)
    assert said.err == ""
    assert f"@127.0.0.1:{port}/xeno" in last_line(said)
    psycopg.connect(last_line(said)).close()
