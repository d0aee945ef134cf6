"""What import-linter cannot say of the layers (`[tool.importlinter]` in pyproject.toml has the rest)."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import xeno_pipeline

PACKAGE = Path(xeno_pipeline.__file__).parent

READERS_OF_THE_ENVIRONMENT = {
    "settings.py": "the one place for settings",
    "database/embedded.py": "hands PATH on to the server it starts, and nothing else",
    "database/programs.py": "hands its own environment on to psql and its like",
    "defs/instance.py": "sets DAGSTER_HOME, which Dagster reads",
    "defs/dagster_internals.py": "sets the number of events that Dagster writes at once",
    "marts/dbt.py": "sets the variables that the dbt profile reads, and restores them",
    "predictions/__init__.py": "sets the number of threads that OpenBLAS starts, before scipy is imported",
    "demo/dev.py": "hands its own environment on to `dagster dev`",
    "demo/processes.py": "hands its own environment on to the programs it starts",
}


@cache
def sources() -> dict[str, ast.Module]:
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def test_the_layers_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_are_absolute() -> None:
    nodes = [(file, node) for file, tree in sources().items() for node in ast.walk(tree)]
    assert [file for file, node in nodes if isinstance(node, ast.ImportFrom) and node.level] == []


def test_the_sandbox_is_imported_by_the_command_line_only_when_it_is_served() -> None:
    eager = [(file, node) for file, tree in sources().items() if file.startswith("cli/") for node in tree.body]
    modules = [(file, node.module or "") for file, node in eager if isinstance(node, ast.ImportFrom)]
    modules += [(file, alias.name) for file, node in eager if isinstance(node, ast.Import) for alias in node.names]
    assert [file for file, module in modules if module.startswith("shopify_sandbox")] == []


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
    assert set(READERS_OF_THE_ENVIRONMENT) <= set(sources()), "an exception names a file that does not exist"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("xeno_pipeline.extraction.sync", {"dagster", "dbt", "numpy"}),
        ("xeno_pipeline.raw.mapping_process", {"dagster", "dbt", "numpy", "psycopg", "pydantic", "requests"}),
        ("xeno_pipeline.shopify.client", {"dagster", "dbt", "numpy", "psycopg", "sqlalchemy"}),
        ("xeno_pipeline.cli.app", {"dagster", "dagster_dbt", "dbt", "numpy"}),
    ],
)
def test_a_module_loads_without_what_it_does_not_need(module: str, heavy: set[str]) -> None:
    """So that a load stays small in memory, and a command answers at once."""
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "xeno_pipeline" in loaded
    assert loaded & heavy == set()
