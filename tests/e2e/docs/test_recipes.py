"""Whoever follows a recipe for contributors literally, in a copy of the repository, gets what it promises."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.documentation import documents
from tests.support.loopback import free_port
from tests.support.reader import Reader
from xeno_pipeline.settings import PROJECT_DIR

pytestmark = pytest.mark.thorough

_COPIED = ("xeno_pipeline", "shopify_sandbox", "dbt_project", "scripts", "tests")


@pytest.fixture
def contributor(make_home: Callable[[], Path]) -> Iterator[Reader]:
    """Somebody with a copy of the repository."""
    clone = make_home()
    for folder in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
        shutil.copytree(PROJECT_DIR / folder, clone / folder, ignore=ignored)
    for file in ("pyproject.toml", "dagster.yaml", "README.md"):
        shutil.copy(PROJECT_DIR / file, clone)
    somebody = Reader(clone, free_port())
    yield somebody
    somebody.end()


LINT = "ruff check -q . && ruff format -q --check . && sqlfmt --check --quiet dbt_project && lint-imports --no-cache"


def page(name: str) -> Path:
    (found,) = [path for path in documents() if path.stem == name]
    return found


@pytest.mark.timeout(600)
def test_add_a_mart(contributor: Reader) -> None:
    contributor.follow(page("add-a-mart"))
    output = contributor.output
    assert "{security_invoker=true}" in output
    assert {"owner", "tenant"} <= {word for line in output.splitlines() for word in line.replace("|", " ").split()}
    assert "marts/sales_by_country" in output
    assert "marts/product_skus" in output
    assert "(5 rows)" in output, "the marts are empty"
    contributor.run(LINT)


@pytest.mark.timeout(600)
def test_add_a_check(contributor: Reader) -> None:
    contributor.follow(page("add-a-check"))
    assert "orders_have_lines" in contributor.output
    contributor.run(LINT)


@pytest.mark.timeout(600)
def test_add_a_stream(contributor: Reader) -> None:
    folder = contributor.clone / "xeno_pipeline/database/migrations/versions"
    newest = max(path.name[:4] for path in folder.glob("[0-9]*.py"))
    contributor.substitutes = {"NEXT": f"{int(newest) + 1:04}", "NEWEST": newest}
    contributor.follow(page("add-a-stream"))
    assert "raw/draft_orders" in contributor.output
    assert "staging/stg_shopify__draft_orders" in contributor.output
    contributor.run(LINT)
