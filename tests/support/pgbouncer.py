"""A real pgbouncer in transaction mode before a server, where the distribution's package is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.loopback import free_port

_PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
_USER = "nobody"
"""It refuses to run as root."""
_SECONDS_TO_START = 20.0

needs_pgbouncer = pytest.mark.skipif(_PROGRAM is None, reason="pgbouncer is not installed (Debian's package)")


@contextmanager
def pooling(folder: Path, port: int, passwords: Mapping[str, str], *, drops_options: bool = False) -> Iterator[int]:
    """A pooler for the length of a `with`; yields its port on loopback.

    Args:
        folder: for its configuration; every user may enter it.
        port: where the server listens on loopback.
        passwords: of the users that it lets in.
        drops_options: whether it ignores settings that a session begins with; else it refuses them.
    """
    assert _PROGRAM is not None
    ours = free_port()
    users = "".join(f'"{user}" "{password}"\n' for user, password in passwords.items())
    (folder / "users.txt").write_text(users)
    ignored = "extra_float_digits, options" if drops_options else "extra_float_digits"
    (folder / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host=127.0.0.1 port={port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {ours}
        unix_socket_dir =
        pool_mode = transaction
        default_pool_size = 4
        auth_type = scram-sha-256
        auth_file = {folder}/users.txt
        ignore_startup_parameters = {ignored}
        """.replace("\n        ", "\n")
    )
    command = [_PROGRAM, *(["--user", _USER] if os.geteuid() == 0 else []), str(folder / "pgbouncer.ini")]
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        user, password = next(iter(passwords.items()))
        _await(process, f"host=127.0.0.1 port={ours} user={user} password={password} dbname=xeno", folder)
        yield ours
    finally:
        process.kill()  # it would wait for its clients
        process.wait()


def _await(process: subprocess.Popen[bytes], conninfo: str, folder: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            psycopg.connect(conninfo, connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "pgbouncer.log").read_text())
            time.sleep(0.05)
        else:
            return
