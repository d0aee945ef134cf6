"""Names are the field's standard terms, and modules stay small."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from xeno_pipeline.settings import PROJECT_DIR

PACKAGES = ("xeno_pipeline", "shopify_sandbox")

WORDS = (
    *(
        "amiss",
        "anew",
        "buried",
        "buries",
        "bury",
        "become",
        "becomes",
        "forsaken",
        "give_way",
        "gone",
        "guilty",
        "lest",
    ),
    *(
        "likewise",
        "meanwhile",
        "news",
        "nobody",
        "patience",
        "somebody",
        "take_back",
        "tell",
        "telling",
        "tells",
        "told",
    ),
    *("turn_of_the_day", "twin", "twins", "untold", "whoever", "whom", "whose", "whose_turn"),
)
"""Words of which a standard term says more: report or log, tenant, delete, clone, retry policy, change, again."""

_QUAINT = re.compile(rf"(?:^|_)({'|'.join(WORDS)})(?=_|$)")

MOST_LINES = 400


def modules(*packages: str) -> list[Path]:
    found = [path for package in packages for path in (PROJECT_DIR / package).rglob("*.py")]
    return [path for path in found if not {"versions", "tests"} & set(path.relative_to(PROJECT_DIR).parts)]


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Attribute(attr="tell"):
                pass  # of a file
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def quaint(identifier: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower()
    return _QUAINT.search(words) is not None


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda path: path.relative_to(PROJECT_DIR).as_posix())
def test_names_are_standard_terms(path: Path) -> None:
    assert not quaint(path.stem)
    assert sorted({name for name in identifiers(ast.parse(path.read_text())) if quaint(name)}) == []


@pytest.mark.parametrize("identifier", ["told", "_told_pages", "safeTold", "whose_turn_it_is", "TwinClient"])
def test_a_quaint_name_is_noticed(identifier: str) -> None:
    assert quaint(identifier)


@pytest.mark.parametrize("identifier", ["tooling", "newsletter", "twine", "begonia", "retell"])
def test_a_name_that_merely_contains_such_a_word_is_not(identifier: str) -> None:
    assert not quaint(identifier)


def test_no_module_of_the_package_is_long() -> None:
    lengths = {
        path.relative_to(PROJECT_DIR).as_posix(): len(path.read_text().splitlines())
        for path in modules("xeno_pipeline")
    }
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}
