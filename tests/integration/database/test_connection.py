"""A database is found by any usual spelling of its URL; one that cannot be used is told of in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support.database_roles import GUARDED, GUARDED_PASSWORD, create_role
from tests.support.loopback import free_port
from xeno_pipeline.database.connection import (
    Database,
    DatabaseUnavailableError,
    connection_variables,
    database_url,
    open_database,
)
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.errors import UsageError
from xeno_pipeline.settings import Settings, load_settings


@pytest.fixture(scope="module")
def guarded(server: EmbeddedServer) -> EmbeddedServer:
    """The server, with a role that must give its password."""
    create_role(Database(server.url), GUARDED)
    access = server.data_dir / "pg_hba.conf"
    rule = f"local all {GUARDED} scram-sha-256\n"
    if not access.read_text().startswith(rule):
        access.write_text(rule + access.read_text())
    with Database(server.url).connect() as connection:
        connection.execute("select pg_reload_conf()")
    return server


def opened(url: str) -> Database:
    return open_database(Settings(database_url=url))


def reason(database: Database) -> str:
    """Why the database cannot be used."""
    with pytest.raises(DatabaseUnavailableError) as failure, database.connect():
        pass
    assert re.fullmatch(
        r"The database .* cannot be used: .*\. Start it, or correct XENO_DATABASE_URL\.", str(failure.value)
    )
    return str(failure.value)


@pytest.mark.parametrize(
    "spelling",
    [
        "postgresql://{user}:{password}@/xeno?host={host}",
        "postgres://{user}:{password}@/xeno?host={host}",
        "postgresql+psycopg://{user}:{password}@/xeno?host={host}",
        "postgresql+psycopg2://{user}:{password}@/xeno?host={host}",
        "postgresql://{user}:{password}@{host}/xeno",
        "postgresql:///xeno?user={user}&password={password}&host={host}&connect_timeout=5",
        " postgresql://{user}:{password}@/xeno?host={host}&application_name=mine\n",
    ],
)
def test_any_usual_spelling_of_the_url_opens_it_for_every_client(guarded: EmbeddedServer, spelling: str) -> None:
    host, password = quote(str(guarded.socket_dir), safe=""), quote(GUARDED_PASSWORD, safe="")
    database = opened(spelling.format(user=GUARDED, password=password, host=host))

    with database.connect() as connection:
        assert connection.execute("select current_user").fetchone() == (GUARDED,)
    for driver in ("psycopg", "psycopg2"):
        engine = create_engine(database.sqlalchemy_url(driver, schema="dagster").render_as_string(hide_password=False))
        with engine.connect() as connection:
            assert connection.execute(text("select current_user, current_setting('search_path')")).one() == (
                GUARDED,
                "dagster",
            )
        engine.dispose()
    for_dbt = connection_variables(database.url)
    assert for_dbt["PGUSER"] == GUARDED
    assert for_dbt["PGPASSWORD"] == GUARDED_PASSWORD
    assert for_dbt["PGDATABASE"] == "xeno"
    assert for_dbt["PGHOST"] == str(guarded.socket_dir)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://xeno@db/xeno", GUARDED_PASSWORD),
        ("postgresql://xeno@db/xeno?sslmode=require", GUARDED_PASSWORD),
        ("postgresql://db/xeno?user=xeno", GUARDED_PASSWORD),
        ("postgresql://xeno:its-own@db/xeno", "its-own"),
    ],
)
def test_a_password_may_come_as_a_file_of_its_own_unless_the_url_has_one(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xeno_database_password").write_text(f"{GUARDED_PASSWORD}\n")
    monkeypatch.setenv("XENO_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("XENO_DATABASE_URL", url)

    assert connection_variables(database_url(load_settings()))["PGPASSWORD"] == expected


def test_what_the_url_says_besides_reaches_dbt_and_sqlalchemy_too() -> None:
    url = "postgresql://me@db.example:6543/shops?sslmode=verify-full&sslrootcert=/etc/ca.pem"

    assert connection_variables(url) == {
        "PGHOST": "db.example",
        "PGPORT": "6543",
        "PGUSER": "me",
        "PGDATABASE": "shops",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ca.pem",
    }
    assert Database(url).sqlalchemy_url("psycopg2").query["sslmode"] == "verify-full"


def test_a_url_without_a_host_means_libpqs_own_socket_for_dbt_too() -> None:
    assert connection_variables("postgresql://me@/shops")["PGHOST"] == ""


@pytest.mark.parametrize(
    "url", ["mysql://me:cl4ssified@host/shops", "cl4ssified", "postgresql://me:cl4ssified@[host/x"]
)
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match=r"^XENO_DATABASE_URL is not a PostgreSQL URL: write it like ") as refusal:
        database_url(Settings(database_url=url))

    assert "cl4ssified" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_a_wrong_password_is_a_sentence_that_does_not_repeat_it(guarded: EmbeddedServer) -> None:
    said = reason(opened(f"postgresql://{GUARDED}:wr0ng@/xeno?host={guarded.socket_dir}"))

    assert 'password authentication failed for user "guarded"' in said
    assert "wr0ng" not in said


def test_an_absent_database_is_a_sentence(server: EmbeddedServer) -> None:
    assert 'database "nowhere" does not exist' in reason(opened(server.url.replace("/xeno?", "/nowhere?")))


def test_an_unknown_role_is_a_sentence(server: EmbeddedServer) -> None:
    assert 'role "nobody-here" does not exist' in reason(opened(server.url.replace("xeno@", "nobody-here@")))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (lambda folder: f"postgresql://me@127.0.0.1:{free_port()}/xeno", "Connection refused"),
        (lambda folder: f"postgresql://me@/xeno?host={folder}", "No such file or directory"),
        (lambda folder: "postgresql://me@database.invalid/xeno", "database.invalid"),
        (lambda folder: "postgresql://me@127.0.0.1/xeno?sslmode=perhaps", 'invalid sslmode value: "perhaps"'),
    ],
    ids=["closed port", "no socket", "unknown host", "bad option"],
)
def test_a_server_that_cannot_be_reached_is_a_sentence(url: Callable[[Path], str], why: str, tmp_path: Path) -> None:
    assert why in reason(opened(url(tmp_path)))


def test_the_password_shows_in_no_repr() -> None:
    database = opened("postgresql://me:cl4ssified@host/shops")

    assert "cl4ssified" not in repr(database) + str(database) + database.place + repr(
        database.sqlalchemy_url("psycopg")
    )


def test_a_transaction_commits_at_the_end_and_rolls_back_on_an_error(database: Database) -> None:
    def create(name: str, then: str) -> None:
        with database.connect() as connection:
            connection.execute(f"create table {name} ()")
            connection.execute(then)

    create("kept", then="select 1")
    with pytest.raises(psycopg.errors.DivisionByZero):
        create("lost", then="select 1 / 0")

    with database.connect() as connection:
        found = connection.execute("select to_regclass('kept')::text, to_regclass('lost')::text").fetchone()
    assert found == ("kept", None)


def test_without_a_url_the_embedded_server_is_started(make_home: Callable[[], Path]) -> None:
    database = open_database(Settings(home=make_home()))

    with database.connect() as connection:
        assert connection.execute("select current_database()").fetchone() == ("xeno",)
