"""Who may import whom (DESIGN: layout). Read from the imports themselves, lazy ones included."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import xeno_pipeline

PACKAGE = Path(xeno_pipeline.__file__).parent

LIBRARIES = {
    "shopify": {"errors"},
    "database": {"errors", "settings"},
    "raw": {"database", "errors", "shopify"},
    "tenants": {"database", "errors", "raw", "settings", "shopify"},
    "extraction": {"database", "errors", "raw", "settings", "shopify", "tenants"},
    "privacy": {"database", "errors", "raw", "settings", "shopify", "tenants"},
    "monitoring": {"database", "errors", "extraction", "privacy", "raw", "settings", "shopify", "tenants"},
    "marts": {"database", "errors", "raw", "settings", "tenants"},
    "settings": {"errors"},
    "errors": set[str](),
}
"""The plain libraries, usable from any script, and which others each may import."""

USERS_OF_THE_SANDBOX = {"cli", "demo"}
"""What exists to show the system off; nothing that runs in earnest."""

READERS_OF_THE_ENVIRONMENT = {
    "settings.py": "the one place for settings",
    "database/embedded.py": "hands PATH on to the server it starts, and nothing else",
    "database/programs.py": "hands its own environment on to psql and its like",
    "defs/instance.py": "sets DAGSTER_HOME, which Dagster reads",
    "defs/materializations.py": "tells Dagster how many events it may write at once",
    "marts/dbt.py": "sets the variables that the dbt profile reads, and takes them back",
    "demo/dev.py": "hands its own environment on to `dagster dev`",
    "demo/processes.py": "hands its own environment on to the programs it starts",
}


@dataclass(frozen=True)
class Import:
    """One import of a module."""

    file: str
    module: str
    is_lazy: bool

    @property
    def importer(self) -> str:
        """The part of the package that the file belongs to: a folder's name, or a module's."""
        if self.file.startswith("monitoring/doctor/"):
            return "doctor"  # it looks at Dagster too
        return self.file.partition("/")[0].removesuffix(".py")

    @property
    def imported(self) -> str | None:
        """The part of the package that is imported; None for what is not ours."""
        root, _, rest = self.module.partition(".")
        if root == "shopify_sandbox":
            return "sandbox"
        if rest.startswith("monitoring.doctor"):
            return "doctor"
        return rest.partition(".")[0] if root == "xeno_pipeline" else None


@cache
def sources() -> dict[str, ast.Module]:
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for file, tree in sources().items() for found in _imports_of(file, tree))


def _imports_of(file: str, tree: ast.Module) -> Iterator[Import]:
    eager = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        is_lazy = id(node) not in eager
        if isinstance(node, ast.Import):
            yield from (Import(file, alias.name, is_lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively, which this test does not read"
            assert node.module is not None
            whole = node.module == "xeno_pipeline"  # `from xeno_pipeline import errors`
            yield from (
                Import(file, f"{node.module}.{alias.name}" if whole else node.module, is_lazy) for alias in node.names
            )


def test_the_imports_of_the_package_were_found() -> None:
    assert {found.importer for found in imports()} >= {*LIBRARIES, *USERS_OF_THE_SANDBOX, "defs"} - {"errors"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_imports_only_what_lies_below_it(library: str) -> None:
    allowed = {library, *LIBRARIES[library]}
    ours = [found for found in imports() if found.importer == library and found.imported is not None]
    assert [found for found in ours if found.imported not in allowed] == []


def test_what_lies_below_has_no_way_back_up() -> None:
    """The table itself holds no circle."""
    remaining = dict(LIBRARIES)
    while remaining:
        bottom = {library for library, allowed in remaining.items() if not allowed & set(remaining)}
        assert bottom, f"a circle among {sorted(remaining)}"
        remaining = {library: allowed for library, allowed in remaining.items() if library not in bottom}


def test_only_orchestration_knows_dagster() -> None:
    users = {found.importer for found in imports() if found.module.partition(".")[0].startswith("dagster")}
    assert users & set(LIBRARIES) == set()
    assert "defs" in users


def test_only_what_shows_the_system_off_imports_the_sandbox() -> None:
    users = {found.importer for found in imports() if found.imported == "sandbox"}
    assert users - {"sandbox"} <= USERS_OF_THE_SANDBOX


def test_the_command_line_imports_the_sandbox_only_when_asked_to_serve_it() -> None:
    assert all(found.is_lazy for found in imports() if (found.importer, found.imported) == ("cli", "sandbox"))


def test_only_settings_reads_the_environment_but_for_named_exceptions() -> None:
    names = {"environ", "environb", "getenv", "putenv"}
    readers = {
        file
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in names and getattr(node.value, "id", None) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & names)
    }
    assert readers <= set(READERS_OF_THE_ENVIRONMENT)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("xeno_pipeline.extraction.sync", {"dagster", "dbt", "pandas"}),
        ("xeno_pipeline.shopify.client", {"dagster", "dbt", "pandas", "psycopg", "sqlalchemy"}),
        ("xeno_pipeline.cli.app", {"dagster", "dagster_dbt", "dbt", "pandas", "numpy"}),
    ],
)
def test_a_module_loads_without_what_it_does_not_need(module: str, heavy: set[str]) -> None:
    """So that a load stays small in memory, and a command answers at once."""
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "xeno_pipeline" in loaded
    assert loaded & heavy == set()
