"""Tests share what is in `tests.support` and in fixtures; unit tests start nothing outside of their process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TIERS = ("unit", "integration", "e2e")

OUTSIDE = {"server", "make_home", "make_database", "database", "installation", "sandbox", "location", "warehouse"}
"""Fixtures that start a server or a process, or need one that does."""


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((TESTS / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, and the names that it imports from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arguments(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield from (argument.arg for argument in node.args.args)


@pytest.mark.parametrize("path", modules(*TIERS, "support"), ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_is_imported_from_a_module_of_tests_or_a_conftest(path: Path) -> None:
    from_tiers = tuple(f"tests.{tier}" for tier in (*TIERS, "conftest"))
    assert [name for name in imported(path) if name.startswith(from_tiers)] == []


@pytest.mark.parametrize("path", modules("unit"), ids=lambda path: str(path.relative_to(TESTS)))
def test_unit_tests_start_no_server_and_no_process(path: Path) -> None:
    assert OUTSIDE.isdisjoint(arguments(path))
    processes = ("subprocess", "multiprocessing", "dagster", "shopify_sandbox.process", "tests.support.installation")
    assert [name for name in imported(path) if name.startswith(processes)] == []


def test_every_module_of_tests_is_in_a_tier() -> None:
    outside = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")} - {*TIERS, "sandbox"}
    assert outside == set()
