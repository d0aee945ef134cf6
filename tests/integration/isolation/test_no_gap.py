"""While marts are made, made anew and transformed, a tenant sees its own rows at every moment, and no error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.support.installation import Installation, Shop
from tests.support.isolated_marts import TENANTS_READ, Marts, relations, session
from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import TransformRequest, make_relations, transform
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing

pytestmark = pytest.mark.thorough


class Watcher(threading.Thread):
    """Polls all tables and views of marts in the role of a tenant's BI tool, until told to stop.

    Args:
        database: as that role sees it.
        tenant_id: the only tenant that it is to see.
        known: relations that are there throughout; without them, those that come to be, readable or not yet.
    """

    def __init__(self, database: Database, tenant_id: str, known: Sequence[str] = ()) -> None:
        super().__init__()
        self.rounds = 0
        self.wrongs: list[str] = []
        self.filled: set[str] = set()
        self._database = database
        self._tenant_id = tenant_id
        self._known = known
        self._done = threading.Event()

    def run(self) -> None:
        with session(self._database) as connection:
            while not self._done.is_set():
                for relation in self._known or relations(connection, *TENANTS_READ):
                    self._look(connection, relation)
                self.rounds += 1

    def _look(self, connection: Connection, relation: str) -> None:
        try:
            found = connection.execute(f"select distinct tenant_id from {relation}").fetchall()
        except psycopg.Error as error:
            if self._known or not isinstance(error, errors.UndefinedTable | errors.InsufficientPrivilege):
                self.wrongs.append(f"{relation}: {error}")
            return
        self.wrongs.extend(f"{relation}: {tenant_id}" for (tenant_id,) in found if tenant_id != self._tenant_id)
        if found:
            self.filled.add(relation)
        elif relation in self.filled:
            self.wrongs.append(f"{relation}: empty")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of a `with`."""
        self.start()
        try:
            yield
        finally:
            self._done.set()
            self.join(timeout=60)  # a round takes less than a second; a hanging one is to fail the test


def test_ten_transforms_and_rebuilds_show_a_tenant_its_own_rows_and_no_error(
    make_marts: Callable[[str | None], Marts], ring: KeyRing, shelf: Shop, shop: Shop, tmp_path: Path
) -> None:
    marts = make_marts("careful")
    installation = Installation(marts.owner, ring, tmp_path / "spool")
    for store in (shelf, shop):
        installation.sync(installation.connect(store))
    tenants = (shelf.handle, shop.handle)
    transform(marts.owner, marts.project, TransformRequest(tenants))
    watcher = Watcher(marts.bi(shelf.handle), shelf.handle, marts.relations(*TENANTS_READ))

    with watcher.watching():
        for day in range(10):
            as_of = date(2026, 6, 1 + day % 3)
            report = transform(marts.owner, marts.project, TransformRequest(tenants, as_of=as_of, only_due=False))
            assert report.failures == {}
            if day in (3, 7):
                make_anew(marts)

    assert watcher.wrongs == []
    assert watcher.rounds >= 10
    assert len(watcher.filled) >= 10


def test_marts_are_never_open_from_the_moment_they_are_made(
    database: Database, ring: KeyRing, shelf: Shop, shop: Shop, tmp_path: Path
) -> None:
    installation = Installation(database, ring, tmp_path / "spool")
    for store in (shelf, shop):
        installation.sync(installation.connect(store))
    project = DbtProject(Settings(home=tmp_path, database_url=database.url))
    role = grant_bi_role(database, shelf.handle)
    watcher = Watcher(Database(database.url.replace("//xeno@", f"//{role.name}@")), shelf.handle)

    with watcher.watching():
        make_relations(database, project)
        built = project.invoke(["build", "--exclude-resource-type", "unit_test"], transform_id=None)

    assert [(node.name, node.message) for node in built if node.failed] == []
    assert watcher.wrongs == []
    assert "marts.fct_orders" in watcher.filled
    with session(database) as connection:
        assert connection.execute("select count(distinct tenant_id) from marts.fct_orders").fetchone() == (2,)


def make_anew(marts: Marts) -> None:
    """Make the relations again, as another version of the models does."""
    with marts.owner.connect() as connection:
        connection.execute("update ops.marts_version set version = 'an older one'")
    assert make_relations(marts.owner, marts.project)
