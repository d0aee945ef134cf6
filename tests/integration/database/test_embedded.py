"""The embedded server is there for whoever asks, however many ask at once and whatever happened before."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from xeno_pipeline.database.embedded import EmbeddedServer, EmbeddedServerError

STARTER = """
import sys
from pathlib import Path
from xeno_pipeline.database.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
server.ensure_running()
print((server.data_dir / "postmaster.pid").read_text().split()[0], flush=True)
sys.stdin.readline()
"""
"""A process that starts the server when it is told to, says the server's process id, and lives until told again."""


@pytest.fixture
def make_server(make_home: Callable[[], Path]) -> Iterator[Callable[[str], EmbeddedServer]]:
    """Makes servers of the test's own, by what their home is named; they are stopped at its end."""
    made: list[EmbeddedServer] = []

    def make(name: str = "home") -> EmbeddedServer:
        made.append(EmbeddedServer(make_home() / name))
        return made[-1]

    yield make
    for server in made:
        if (server.data_dir / "PG_VERSION").exists():
            server.stop()
        shutil.rmtree(server.socket_dir, ignore_errors=True)


@pytest.fixture
def own_server(make_server: Callable[[], EmbeddedServer]) -> EmbeddedServer:
    return make_server()


def starter(server: EmbeddedServer) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTER, str(server.home)]
    return subprocess.Popen(command, stdin=-1, stdout=-1, text=True, start_new_session=True)


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def postmaster(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(int((server.data_dir / "postmaster.pid").read_text().split()[0]))


@pytest.mark.thorough
def test_ten_processes_that_start_it_at_once_get_one_server(own_server: EmbeddedServer) -> None:
    starters = [starter(own_server) for _ in range(10)]
    assert {hear(process) for process in starters} == {"ready"}
    for process in starters:
        tell(process)
    started = {hear(process) for process in starters}
    for process in starters:
        process.communicate("\n")

    assert started == {str(postmaster(own_server).pid)}


@pytest.mark.thorough
def test_it_outlives_whoever_started_it_even_when_the_whole_session_is_killed(own_server: EmbeddedServer) -> None:
    process = starter(own_server)
    hear(process)
    tell(process)
    started = hear(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    psycopg.connect(own_server.url).close()
    assert str(postmaster(own_server).pid) == started


def test_stopping_it_ends_the_process_and_keeps_the_data(own_server: EmbeddedServer) -> None:
    with psycopg.connect(own_server.ensure_running()) as connection:
        connection.execute("create table kept as select 1 as one")
    process = postmaster(own_server)

    assert own_server.stop() is True

    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE  # which an init is to collect
    with psycopg.connect(own_server.ensure_running()) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]


def test_stopping_it_twice_or_before_it_ever_ran_does_nothing(own_server: EmbeddedServer) -> None:
    assert own_server.stop() is False
    own_server.ensure_running()
    own_server.stop()
    assert own_server.stop() is False


def test_a_killed_server_is_started_again_with_all_that_was_committed(own_server: EmbeddedServer) -> None:
    with psycopg.connect(own_server.ensure_running()) as connection:
        connection.execute("create table kept as select 1 as one")
    at_work = psycopg.connect(own_server.url)
    at_work.execute("create table lost as select 1 as one")
    postmaster(own_server).kill()

    with psycopg.connect(own_server.ensure_running()) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]
        assert connection.execute("select to_regclass('lost')").fetchall() == [(None,)]
    at_work.close()


@pytest.mark.thorough
def test_a_stale_pid_file_whose_number_is_another_processs_by_now_does_not_matter(own_server: EmbeddedServer) -> None:
    own_server.ensure_running()
    own_server.stop()
    (own_server.data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{own_server.data_dir}\n")

    psycopg.connect(own_server.ensure_running()).close()


@pytest.mark.thorough
def test_a_stale_socket_does_not_matter(own_server: EmbeddedServer) -> None:
    own_server.ensure_running()
    own_server.stop()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(own_server.socket_dir / ".s.PGSQL.5432"))
    (own_server.socket_dir / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")

    psycopg.connect(own_server.ensure_running()).close()


def test_what_a_killed_starter_had_not_done_yet_the_next_one_does(own_server: EmbeddedServer) -> None:
    own_server.ensure_running()
    with psycopg.connect(own_server.url.replace("/xeno?", "/postgres?"), autocommit=True) as connection:
        connection.execute("drop database xeno")
    (own_server.home / "postgres.new").mkdir()

    psycopg.connect(own_server.ensure_running()).close()


@pytest.mark.thorough
def test_two_homes_have_a_server_each(make_server: Callable[[str], EmbeddedServer]) -> None:
    one, other = make_server("one"), make_server("other")
    for server in (one, other):
        with psycopg.connect(server.ensure_running()) as connection:
            connection.execute("create table who as select %s as name", [server.home.name])

    for server in (one, other):
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select name from who").fetchall() == [(server.home.name,)]
    one.stop()
    psycopg.connect(other.url).close()


@pytest.mark.parametrize("name", ["h" * 120, "a home with spaces & 100%"], ids=["too long for a socket", "odd"])
def test_any_path_will_do(make_server: Callable[[str], EmbeddedServer], name: str) -> None:
    psycopg.connect(make_server(name).ensure_running()).close()


def test_its_files_are_its_owners_alone(own_server: EmbeddedServer) -> None:
    own_server.ensure_running()

    assert own_server.data_dir.stat().st_mode & 0o077 == 0
    assert own_server.socket_dir.stat().st_mode & 0o077 == 0


def test_a_folder_of_something_else_is_left_alone(own_server: EmbeddedServer) -> None:
    own_server.data_dir.mkdir(parents=True)
    (own_server.data_dir / "thesis.txt").write_text("mine")

    with pytest.raises(EmbeddedServerError, match="is no PostgreSQL data directory; move it away"):
        own_server.ensure_running()

    assert [entry.name for entry in own_server.data_dir.iterdir()] == ["thesis.txt"]


def test_a_home_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedServerError, match=r"could not be started under .*: Not a directory\. Make room or"):
        EmbeddedServer(tmp_path / "file" / "home").ensure_running()
