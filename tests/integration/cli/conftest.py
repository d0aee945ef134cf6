"""`xeno` on a database of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.support.installation import Installation
from tests.support.parsed_project import ParsedProject
from tests.support.xeno_command import Said, Xeno
from xeno_pipeline.database.connection import Database
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring


@pytest.fixture
def machine(database: Database, tmp_path: Path) -> Installation:
    """What `xeno` works on: the test's database, and keys in the test's home."""
    home = tmp_path / "home"
    return Installation(database, load_key_ring(Settings(home=home)), home / "spool")


@pytest.fixture
def xeno(machine: Installation) -> Xeno:
    return Xeno(machine.spool.parent, {"XENO_DATABASE_URL": machine.database.url})


@pytest.fixture
def parsed_home(machine: Installation, parsed_project: ParsedProject) -> Path:
    """The machine's home with the dbt project parsed, which takes as long as ten commands."""
    from xeno_pipeline.marts.dbt import DbtProject

    home = machine.spool.parent
    parsed_project.put_into(DbtProject(Settings(home=home, database_url=SecretStr(machine.database.url))))
    return home


@pytest.fixture
def main(
    xeno: Xeno, parsed_project: ParsedProject, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """The same within this process, where many commands are needed: a process takes seconds to import everything."""
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command sets it to ends with the test
    monkeypatch.delenv("DAGSTER_HOME")

    return xeno.within_this_process(monkeypatch, capfd)


@pytest.fixture
def bare_xeno(make_home: Callable[[], Path]) -> Xeno:
    """`xeno` on a machine without any state: its own embedded server is yet to be made."""
    return Xeno(make_home())
