"""Behind a pooler in transaction mode, and beside a replica: with a real pgbouncer, and two servers that replicate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from tests.support.gateway_process import GatewayProcess
from tests.support.loopback import free_port
from tests.support.marked_rows import ATTACKER, VICTIM, fill, register
from tests.support.parsed_project import ParsedProject
from tests.support.pgbouncer import needs_pgbouncer, pooling
from tests.support.replica import await_replay, replica_of
from tests.support.serving import key_for
from xeno_pipeline.access.serving import NoAccessError, ServingPool, open_serving_pool
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import EmbeddedServer
from xeno_pipeline.database.migrate import migrate, open_migrated
from xeno_pipeline.database.roles import grant_bi_role
from xeno_pipeline.database.serving import prepare_serving
from xeno_pipeline.database.session import PoolerError, check_session
from xeno_pipeline.defs.storage import XenoStorage
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.monitoring.doctor.database import connect_database
from xeno_pipeline.settings import Settings

pytestmark = pytest.mark.thorough

NAME = "test_90001"
OWNERS, SERVINGS = "of-the-owner", "of-the-login"
SEEN = "select distinct tenant_id from dim_customers"


@dataclass(frozen=True)
class Outside:
    """A server as a managed one is: by address and password, with the marts of two tenants."""

    server: EmbeddedServer
    owner: Database
    home: Path

    def settings(self, port: int, *, pooler: str | None = None, replica: str | None = None) -> Settings:
        """Settings of an installation whose database is at that port."""
        return Settings(
            home=self.home,
            database_url=SecretStr(self.url(port)),
            database_password=SecretStr(OWNERS),
            serving_password=SecretStr(SERVINGS),
            pooler_url=SecretStr(pooler) if pooler else None,
            replica_url=SecretStr(replica) if replica else None,
        )

    def url(self, port: int | None = None) -> str:
        return f"postgresql://xeno@127.0.0.1:{port or self.server.tcp_port}/{NAME}"


@pytest.fixture(scope="module")
def outside(
    make_home: Callable[[], Path], parsed_project: ParsedProject, tmp_path_factory: pytest.TempPathFactory
) -> Outside:
    server = EmbeddedServer(make_home(), free_port())
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute(f"alter role xeno password '{OWNERS}'")
        connection.execute(f"create database {NAME}")
    owner, home = Database(server.url.replace("/xeno?", f"/{NAME}?")), tmp_path_factory.mktemp("home")
    migrate(owner)
    make_relations(owner, DbtProject(Settings(home=home, database_url=SecretStr(owner.url))))
    prepare_serving(owner, SERVINGS)
    with owner.connect() as connection:
        for tenant in (ATTACKER, VICTIM):
            register(connection, tenant)
            fill(connection, tenant)
    return Outside(server, owner, home)


@pytest.fixture(scope="module", params=[False, True], ids=["refuses options", "drops options"])
def pooler(request: pytest.FixtureRequest, outside: Outside, make_home: Callable[[], Path]) -> Iterator[int]:
    """The port of a pooler, of either kind."""
    folder = make_home()
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    passwords = {"xeno": OWNERS, "xeno_serving": SERVINGS}
    with pooling(folder, outside.server.tcp_port or 0, passwords, drops_options=request.param) as port:
        yield port


@needs_pgbouncer
def test_where_a_session_is_needed_a_pooler_is_refused_by_one_sentence(
    outside: Outside, pooler: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = outside.settings(pooler)
    with pytest.raises(PoolerError) as refusal:
        open_migrated(settings)
    assert str(refusal.value).count(". ") == 0
    assert OWNERS not in str(refusal.value)
    assert "XENO_POOLER_URL" in str(refusal.value)

    monkeypatch.setenv("XENO_DATABASE_URL", outside.url(pooler))
    monkeypatch.setenv("XENO_DATABASE_PASSWORD", OWNERS)
    with pytest.raises(PoolerError):
        XenoStorage.from_config_value(None, {})

    database, found = connect_database(settings)
    assert database is None
    assert "pooler that keeps no session" in found[0].message


def test_the_server_itself_keeps_its_sessions_whatever_options_its_address_has(outside: Outside) -> None:
    check_session(Database(f"{outside.url()}?password={OWNERS}"))
    check_session(Database(f"{outside.url()}?password={OWNERS}&options=-c%20work_mem%3D8MB"))
    check_session(outside.owner)


@needs_pgbouncer
def test_insights_read_through_a_pooler_and_no_request_sees_another_ones_rows(outside: Outside, pooler: int) -> None:
    keys = {key_for(outside.owner, [tenant.tenant_id]): tenant.tenant_id for tenant in (ATTACKER, VICTIM)}
    pool = open_serving_pool(outside.settings(outside.server.tcp_port or 0, pooler=outside.url(pooler)))

    def seen(secret: str) -> set[str]:
        with pool.unlocked(secret) as (connection, _):
            return {tenant for (tenant,) in connection.execute(SEEN)}

    try:
        asked = [*keys] * 40
        with ThreadPoolExecutor(8) as threads:  # twice as many as the pooler has sessions
            assert list(threads.map(seen, asked)) == [{keys[secret]} for secret in asked]
        pool.check()
        with pool.unlocked(next(iter(keys)), writes=True) as (connection, _):
            assert connection.execute("show transaction_read_only").fetchone() == ("off",)
    finally:
        pool.close()


@needs_pgbouncer
def test_the_gateway_stores_deliveries_through_a_pooler(outside: Outside, pooler: int, tmp_path: Path) -> None:
    order = {"id": 7, "updated_at": "2026-06-30T12:00:00Z"}
    given = {"XENO_DATABASE_PASSWORD": OWNERS, "XENO_POOLER_URL": outside.url(pooler)}
    with GatewayProcess(outside.url(), tmp_path, **given) as gateway:
        shop = f"{ATTACKER.word}.example"
        assert gateway.get("/readyz").text == "ok"
        for number in range(12):  # psycopg prepares a statement that it has executed five times
            delivered = gateway.deliver(order, shop=shop, webhook_id=f"{pooler}-{number}")
            assert delivered.status_code == 200, gateway.text()
    with outside.owner.connect() as connection:
        stored = "select count(*) from ops.webhook_inbox where webhook_id like %s"
        assert connection.execute(stored, [f"{pooler}-%"]).fetchone() == (12,)


@needs_pgbouncer
def test_a_bi_role_sees_its_own_tenant_through_a_pooler(outside: Outside, make_home: Callable[[], Path]) -> None:
    roles = {tenant.tenant_id: grant_bi_role(outside.owner, tenant.tenant_id) for tenant in (ATTACKER, VICTIM)}
    folder = make_home()
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    passwords = {"xeno": OWNERS} | {role.name: role.password for role in roles.values()}
    with pooling(folder, outside.server.tcp_port or 0, passwords) as port:
        for _ in range(3):
            for tenant_id, role in roles.items():
                where = f"host=127.0.0.1 port={port} dbname={NAME} user={role.name} password={role.password}"
                with psycopg.connect(where, autocommit=True) as connection:
                    assert connection.execute(SEEN).fetchall() == [(tenant_id,)]
                    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                        connection.execute("create table marts.x ()")


@pytest.fixture(scope="module")
def replica(outside: Outside, make_home: Callable[[], Path]) -> Iterator[EmbeddedServer]:
    with replica_of(outside.server, make_home(), free_port()) as made:
        yield made


@pytest.fixture
def beside(outside: Outside, replica: EmbeddedServer) -> Iterator[ServingPool]:
    """What insights ask: the primary, and the replica."""
    settings = outside.settings(outside.server.tcp_port or 0, replica=outside.url(replica.tcp_port))
    pool = open_serving_pool(settings)
    yield pool
    pool.close()


def test_insights_read_from_the_replica_and_write_to_the_primary(
    outside: Outside, replica: EmbeddedServer, beside: ServingPool
) -> None:
    secret = key_for(outside.owner, [ATTACKER.tenant_id])
    await_replay(outside.server, replica)
    with beside.unlocked(secret) as (connection, _):
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (True,)
        assert connection.execute(SEEN).fetchall() == [(ATTACKER.tenant_id,)]
    with beside.unlocked(secret, writes=True) as (connection, _):
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (False,)
    assert beside.glances([(secret, ATTACKER.tenant_id)]).keys() == {(secret, ATTACKER.tenant_id)}


def test_whoever_has_just_signed_in_need_not_wait_for_the_replica(
    outside: Outside, replica: EmbeddedServer, beside: ServingPool
) -> None:
    with psycopg.connect(replica.url, autocommit=True) as connection:
        connection.execute("select pg_wal_replay_pause()")
        try:
            secret = key_for(outside.owner, [VICTIM.tenant_id])
            with beside.unlocked(secret) as (asked, _):
                assert asked.execute("select pg_is_in_recovery()").fetchone() == (False,)
                assert asked.execute(SEEN).fetchall() == [(VICTIM.tenant_id,)]
        finally:
            connection.execute("select pg_wal_replay_resume()")
    await_replay(outside.server, replica)
    with beside.unlocked(secret) as (asked, _):
        assert asked.execute("select pg_is_in_recovery()").fetchone() == (True,)
    with pytest.raises(NoAccessError), beside.unlocked("xeno_" + "0" * 43):
        pass


def test_a_bi_role_reads_its_own_tenant_from_the_replica(outside: Outside, replica: EmbeddedServer) -> None:
    role = grant_bi_role(outside.owner, VICTIM.tenant_id, tool="replica")
    await_replay(outside.server, replica)
    where = f"host=127.0.0.1 port={replica.tcp_port} dbname={NAME} user={role.name} password={role.password}"
    with psycopg.connect(where, autocommit=True) as connection:
        assert connection.execute(SEEN).fetchall() == [(VICTIM.tenant_id,)]
