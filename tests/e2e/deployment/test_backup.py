"""A backup, restored on another machine as docs/operate/backups.md says, is the installation that it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.installation import Installation, Shop
from tests.support.loopback import free_port
from tests.support.marts.warehouse import Warehouse, differences
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.tenants.onboarding import open_client

pytestmark = pytest.mark.thorough

ORDERS = "select tenant_id, count(*) from fct_orders group by 1 order by 1"


class Machine:
    """A home with a server of its own, whose database listens on loopback too: roles are a whole server's."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.server = EmbeddedServer(home, self.port)
        self.database = Database(self.server.url)
        self._xeno = Xeno(home, {"XENO_POSTGRES_PORT": str(self.port)})

    def xeno(self, *arguments: str, stdin: str = "") -> Said:
        """Run a command, which must succeed."""
        said = self._xeno(*arguments, stdin=stdin)
        assert said.exit_code == 0, said.err
        return said

    def orders(self, role: str, password: str) -> list[tuple[str, int]]:
        """What a BI tool sees that logs in with a role's password."""
        url = f"postgresql://{role}:{password}@127.0.0.1:{self.port}/xeno"
        with psycopg.connect(url) as connection:
            return connection.execute(ORDERS).fetchall()


@pytest.fixture
def original(make_home: Callable[[], Path], shop: Shop, other_shop: Shop, tmp_path: Path) -> Machine:
    """Two stores in the marts; one of them and the operators have a login."""
    machine = Machine(make_home())
    migrate(Database(machine.server.ensure_running()))
    installation = Installation(machine.database, load_key_ring(Settings(home=machine.home)), tmp_path)
    for each in (shop, other_shop):
        installation.connect(each)
    machine.xeno("sync")
    for tenant in (shop.handle, None):
        grant_bi_role(machine.database, tenant, "a-password")
    return machine


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_credentials_open_marts_are_equal_and_logins_see_what_they_saw(
    original: Machine, make_home: Callable[[], Path], shop: Shop, tmp_path: Path
) -> None:
    roles, dump = tmp_path / "roles.sql", tmp_path / "xeno.dump"
    original.xeno("db", "run", "pg_dumpall", "--roles-only", "--file", str(roles))
    original.xeno("db", "run", "pg_dump", "--format=custom", "--file", str(dump))
    keys = shutil.copy(original.home / "encryption.keys", tmp_path)

    restored = Machine(make_home())
    restored.home.mkdir(parents=True)
    shutil.copy(keys, restored.home)
    _give_the_database_another_oid(restored)
    restored.xeno("db", "psql", "--quiet", "--file", str(roles))
    restored.xeno("db", "run", "pg_restore", "--dbname=xeno", "--exit-on-error", str(dump))
    before_migrating = _logins(restored)
    assert "2 roles of BI tools" in restored.xeno("db", "migrate").out

    logins = _logins(original)
    assert before_migrating == _logins(restored) == logins
    tenant, operator = logins[shop.handle], logins[None]
    assert restored.orders(tenant, "a-password") == [(shop.handle, 60)]
    assert restored.orders(operator, "a-password") == original.orders(operator, "a-password")
    assert len(restored.orders(operator, "a-password")) == 2
    assert differences(_warehouse(original).marts(), _warehouse(restored).marts()) == {}

    with restored.database.connect() as connection:
        known = registry.get(connection, shop.handle)
        assert connection.execute("select count(*) > 0 from dagster.runs").fetchone() == (True,)
    client = open_client(restored.database, load_key_ring(Settings(home=restored.home)), known, app=None)
    client.close()
    restored.xeno("sync", shop.handle)


def _give_the_database_another_oid(machine: Machine) -> None:
    """As it has on a server that had other databases before."""
    with psycopg.connect(
        machine.server.ensure_running().replace("/xeno?", "/postgres?"), autocommit=True
    ) as connection:
        connection.execute("drop database xeno")
        connection.execute("create database xeno")


def _logins(machine: Machine) -> dict[str | None, str]:
    with machine.database.connect() as connection:
        return dict(connection.execute("select tenant_id, role_name from ops.bi_roles").fetchall())


def _warehouse(machine: Machine) -> Warehouse:
    return Warehouse(machine.database, DbtProject(Settings(home=machine.home)))
