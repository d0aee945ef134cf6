"""What tests share: one embedded server for each worker, a migrated database for each test, stores to play with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from shopify_sandbox.process import SandboxProcess
from shopify_sandbox.spec import StoreSpec
from tests.support.installation import Installation, Shop
from tests.support.together import LoadDirectoryScheduling
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import DATABASE, EmbeddedServer
from xeno_pipeline.database.migrate import migrate
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import KeyRing

if TYPE_CHECKING:
    from xdist.remote import Producer

    # dbt takes seconds to import, and most tests do without it
    from tests.support.parsed_project import ParsedProject

_LONGEST = ("tests/e2e/", "tests/integration/marts/", "tests/integration/defs/", "tests/integration/isolation/")
_TEMPLATE = "migrated"
_STORES = 1_000
"""Stores in the pool of a worker; each test that changes one takes the next."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest a file: it would leave one worker busy in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadDirectoryScheduling | None:
    """Keep the tests of some directories on one worker, where those of a file are."""
    return LoadDirectoryScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the settings, or touches the data, of whoever runs it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("XENO_", "PG")) or name == "DAGSTER_HOME"]:
            if name != "XENO_SHARED":
                environment.delenv(name)
        environment.setenv("XENO_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def make_home() -> Iterator[Callable[[], Path]]:
    """Makes folders for servers to live in; whatever server runs there is stopped at the end.

    They are no children of pytest's own folder, which each run of pytest closes to all other users: where tests run
    as root, the servers run as another.
    """
    with (
        tempfile.TemporaryDirectory(prefix="xeno-tests-", ignore_cleanup_errors=True) as folder,
        ExitStack() as at_the_end,
    ):
        numbers = count()

        def make() -> Path:
            home = Path(folder) / f"{next(numbers)}"
            at_the_end.callback(EmbeddedServer(home).stop)
            return home

        yield make


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParsedProject]:
    """The dbt project, which this process does not parse again whatever the database."""
    from tests.support.parsed_project import ParsedProject

    is_worker = tmp_path_factory.getbasetemp().name.startswith("popen-")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if is_worker else base) / "parsed-project"
    folder.mkdir(exist_ok=True)
    shared = ParsedProject(folder)
    with pytest.MonkeyPatch.context() as patch:
        shared.share(patch)
        yield shared


@pytest.fixture(scope="session")
def make_parsed_home(make_home: Callable[[], Path], parsed_project: ParsedProject) -> Callable[[], Path]:
    """Makes folders in which the dbt project is parsed for their own server, which takes as long as the demo."""
    from xeno_pipeline.marts.dbt import DbtProject

    def make() -> Path:
        home = make_home()
        parsed_project.put_into(DbtProject(Settings(home=home, database_url=SecretStr(f"postgresql:///{DATABASE}"))))
        return home

    return make


@pytest.fixture(scope="session")
def server(make_home: Callable[[], Path]) -> EmbeddedServer:
    """The worker's own embedded server."""
    running = EmbeddedServer(make_home())
    with psycopg.connect(running.ensure_running(), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "autovacuum"):  # nobody keeps this server's data
            connection.execute(f"alter system set {setting} = off")
        connection.execute("select pg_reload_conf()")
    return running


@pytest.fixture(scope="session")
def make_database(server: EmbeddedServer) -> Callable[[str | None], Database]:
    """Makes a database: a copy of the migrated one, or an empty one where the template is None."""
    numbers = count(1)

    def make(template: str | None = _TEMPLATE) -> Database:
        name = f"test_{next(numbers):05}"  # all are of one length: see tests.support.parsed_project
        with Database(server.url).connect(autocommit=True) as connection:
            connection.execute(f"create database {name} template {template or 'template0'} strategy file_copy")
        return Database(server.url.replace("/xeno?", f"/{name}?"))

    migrate(make(None))
    with Database(server.url).connect(autocommit=True) as connection:
        connection.execute(f"alter database test_00001 rename to {_TEMPLATE}")
    return make


@pytest.fixture(scope="session")
def drop_database(server: EmbeddedServer) -> Callable[[Database], None]:
    """Drops a database that one test had, before its files are written to the disk: a run has hundreds of them."""

    def drop(database: Database) -> None:
        name = conninfo_to_dict(database.url)["dbname"]
        with Database(server.url).connect(autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")

    return drop


@pytest.fixture
def database(make_database: Callable[[], Database], drop_database: Callable[[Database], None]) -> Iterator[Database]:
    """A migrated database of the test's own."""
    database = make_database()
    yield database
    drop_database(database)


@pytest.fixture
def empty_database(
    make_database: Callable[[str | None], Database], drop_database: Callable[[Database], None]
) -> Iterator[Database]:
    """A database of the test's own that was never migrated."""
    database = make_database(None)
    yield database
    drop_database(database)


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    """Encryption keys; the same in every test."""
    return KeyRing({"first": bytes(range(32))})


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A server of stores: some that no test may change (`shelf`, `void`, `depot`), and many for one test each."""
    sizes = {"shelf": 60, "void": 0, "depot": 1500, **dict.fromkeys(map(_shop_name, range(_STORES)), 60)}
    zones = ("Europe/Berlin", "America/New_York", "Asia/Tokyo")
    until = datetime.now(UTC) - timedelta(minutes=1)  # what changed just now is read twice: see change_probe
    specs = [
        StoreSpec(name, orders=orders, currency="EUR", timezone=zones[n % 3], seed=n, until=until, plan="Enterprise")
        for n, (name, orders) in enumerate(sizes.items())
    ]
    with SandboxProcess(specs, tmp_path_factory.mktemp("stores")) as process:
        yield process


@pytest.fixture(scope="session")
def _unused_shops(sandbox: SandboxProcess) -> Iterator[Shop]:
    return (Shop(sandbox, _shop_name(number)) for number in range(_STORES))


def _shop_name(number: int) -> str:
    return f"shop-{number:04}"


@pytest.fixture
def shelf(sandbox: SandboxProcess) -> Shop:
    """A store of 60 orders to read from; tests must not change it."""
    return Shop(sandbox, "shelf")


@pytest.fixture
def void(sandbox: SandboxProcess) -> Shop:
    """A store without orders."""
    return Shop(sandbox, "void")


@pytest.fixture(scope="session")
def depot(sandbox: SandboxProcess) -> Shop:
    """A store of 1,500 orders to read from; tests must not change it."""
    return Shop(sandbox, "depot")


@pytest.fixture
def shop(_unused_shops: Iterator[Shop]) -> Shop:
    """A store of 60 orders that the test may do with as it likes."""
    return next(_unused_shops)


@pytest.fixture
def other_shop(_unused_shops: Iterator[Shop]) -> Shop:
    """One more."""
    return next(_unused_shops)


@pytest.fixture
def installation(database: Database, ring: KeyRing, tmp_path: Path) -> Installation:
    """Everything a sync needs, without a tenant yet."""
    return Installation(database, ring, tmp_path / "spool")


@pytest.fixture
def other_installation(make_database: Callable[[], Database], ring: KeyRing, tmp_path: Path) -> Installation:
    """One more, with a database of its own."""
    return Installation(make_database(), ring, tmp_path / "other-spool")
