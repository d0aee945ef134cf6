"""What is shown without a database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imported import imported_by

HEAVY = {
    "alembic",
    "dagster",
    "dbt",
    "graphql",
    "numpy",
    "psycopg",
    "pydantic",
    "requests",
    "shopify_sandbox",
    "sqlalchemy",
}


def test_help_is_shown_without_importing_what_commands_use() -> None:
    assert imported_by("--help") & HEAVY == set()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["sandbox", "serve", "--generate", "acme=5"], "xeno sandbox serve"),
        (["demo"], "xeno demo"),
        (["dev"], "xeno dev"),
    ],
)
def test_without_the_sandbox_one_sentence_says_how_to_install_it(command: list[str], name: str, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['shopify_sandbox'] = None; "
        f"sys.argv = ['xeno', *{command!r}]; "
        "from xeno_pipeline.cli.app import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"`{name}` needs the sandbox stores")
    assert "pip install ./shopify_sandbox" in done.stderr
    assert len(done.stderr.splitlines()) == 1
