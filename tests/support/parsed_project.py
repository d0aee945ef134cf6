"""The dbt project parsed once for all workers and all databases, where each database would parse it again.

A parse holds the database's name in the relations' names, and nothing else of the connection. The names of the tests'
databases are of one length, so that one can be put in another's place in whatever dbt has written.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import SecretStr

from xeno_pipeline.database.connection import connection_variables, database_url
from xeno_pipeline.marts.dbt import DbtProject

ANY_DATABASE = "test_00000"
"""The name for which the project is parsed; no database bears it."""


class ParsedProject:
    """Parses for any database, copied from a few.

    Args:
        folder: where they are kept; the workers of a session share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parse: Callable[[DbtProject, Path], None] = DbtProject._parse
        self._keep_lineage: Callable[[DbtProject, Path], None] = DbtProject._keep_lineage

    def share(self, patch: pytest.MonkeyPatch) -> None:
        """Have every project of this process copy its parse, and its lineage of columns, which names no database."""
        patch.setattr(DbtProject, "_parse", lambda project, into: self.copy(project, into))
        patch.setattr(DbtProject, "_keep_lineage", lambda project, path: self.copy_lineage(project, path))

    def put_into(self, project: DbtProject) -> None:
        """Have a project's home hold all that other processes would make in it."""
        assert project.manifest_path.exists()
        assert project.column_lineage

    def copy(self, project: DbtProject, into: Path) -> None:
        """Put what a project needs on its database into a folder."""
        name = connection_variables(database_url(project._settings))["PGDATABASE"]
        known = ANY_DATABASE if _is_of_tests(name) else name
        into.mkdir(parents=True, exist_ok=True)
        for file in self._parsed(project, known):
            (into / file.name).write_bytes(file.read_bytes().replace(known.encode(), name.encode()))

    def copy_lineage(self, project: DbtProject, path: Path) -> None:
        """Put a project's lineage of columns into a file."""
        kept = self._folder / path.name
        with FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                self._keep_lineage(project, kept)
        path.write_bytes(kept.read_bytes())

    def _parsed(self, project: DbtProject, name: str) -> list[Path]:
        """The files of a parse for databases of that name; the manifest last, as it says that all is there."""
        folder = self._folder / f"{project.version}-{name}"
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                self._parse(_for_database(project, name), folder)
        return [folder / name for name in ("partial_parse.msgpack", "tables.msgpack", "manifest.json")]


def _for_database(project: DbtProject, name: str) -> DbtProject:
    """The project on a database that need not exist: parsing does not connect."""
    url = SecretStr(f"postgresql://xeno@localhost/{name}")
    return DbtProject(project._settings.model_copy(update={"database_url": url}))


def _is_of_tests(name: str) -> bool:
    return len(name) == len(ANY_DATABASE) and name.startswith("test_")
