"""A replica of an embedded server by streaming replication: a server of its own, made by pg_basebackup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from xeno_pipeline.database.embedded import EmbeddedServer

_SECONDS_TO_REPLAY = 30.0


@contextmanager
def replica_of(primary: EmbeddedServer, home: Path, port: int) -> Iterator[EmbeddedServer]:
    """The replica, running, for the length of a `with`.

    Args:
        home: where its data is to lie.
        port: where it is to listen on loopback.
    """
    replica = EmbeddedServer(home, port)
    replica.home.mkdir(parents=True, exist_ok=True)
    replica.data_dir.mkdir()
    replica._give_to_server(replica.data_dir)
    source = f"host={primary.socket_dir} user=xeno dbname=postgres"
    where = ("-D", str(replica.data_dir), "-d", source)
    replica._run("pg_basebackup", *where, "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream")
    replica._start()
    try:
        yield replica
    finally:
        replica.stop()


def await_replay(primary: EmbeddedServer, replica: EmbeddedServer) -> None:
    """Wait until the replica has everything that the primary has by now."""
    with psycopg.connect(primary.url) as connection:
        row = connection.execute("select pg_current_wal_flush_lsn()").fetchone()
    assert row is not None
    deadline = time.monotonic() + _SECONDS_TO_REPLAY
    with psycopg.connect(replica.url, autocommit=True) as connection:
        while connection.execute("select pg_last_wal_replay_lsn() >= %s", row).fetchone() != (True,):
            assert time.monotonic() < deadline, "the replica does not catch up"
            time.sleep(0.02)
