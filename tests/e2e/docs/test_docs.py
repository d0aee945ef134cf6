"""Every command in the documentation works, every setting is in it, and every link leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.support.documentation import Block, anchors, blocks, contributor_pages, documents, pages
from tests.support.loopback import free_port
from tests.support.reader import Reader
from xeno_pipeline.cli.app import app
from xeno_pipeline.settings import PROJECT_DIR, Settings

ALL = [block for page in (*pages(), *contributor_pages()) for block in blocks(page) if block.language == "sh"]
RUN = [page for page in pages() if any(block.is_run for block in blocks(page))]


@pytest.fixture(scope="module")
def reader(make_home: Callable[[], Path], make_parsed_home: Callable[[], Path]) -> Iterator[Reader]:
    """A reader with a clone of what the pages use, in which the dbt project is parsed and nothing else was done yet."""
    clone = make_home()
    shutil.copytree(make_parsed_home() / "dbt", clone / ".xeno/dbt")
    shutil.copytree(PROJECT_DIR / "dbt_project", clone / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    somebody = Reader(clone, free_port())
    yield somebody
    somebody.end()


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_whoever_follows_the_pages_in_order_gets_through(reader: Reader, page: Path) -> None:
    reader.follow(page)


@pytest.mark.parametrize("block", ALL, ids=lambda block: f"{block.page.stem}: {block.code.splitlines()[0]}")
def test_every_command_exists_with_its_options(block: Block) -> None:
    assert block.is_run or block.elsewhere or block.needs, f"{block.info!r} says nothing that is known"
    if block.elsewhere:
        assert (PROJECT_DIR / block.elsewhere).exists()
    targets = re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(), re.MULTILINE)
    for words in block.commands():
        if words[0] == "make":
            assert set(words[1:]) <= set(targets)
        called = words[words.index("code") + 1 :] if "code" in words else words  # of a service, or here
        if called[0] == "xeno":
            _check(called[1:])


def _check(words: list[str]) -> None:
    """That the command line knows a command and its options."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    if not command.context_settings.get("ignore_unknown_options"):
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.thorough
def test_everything_that_runs_by_itself_is_documented() -> None:
    """In a process of its own: Dagster's definitions are read from the settings of whoever imports them."""
    script = """
from xeno_pipeline.definitions import defs
repository = defs.get_repository_def()
print(*(each.name for each in (*repository.schedule_defs, *repository.sensor_defs)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    table = (
        (PROJECT_DIR / "docs/operate/running.md")
        .read_text()
        .partition("| schedule or sensor |")[2]
        .partition("\n\n")[0]
    )
    names = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert names == set(done.stdout.split())


def test_every_setting_is_documented_with_its_variable() -> None:
    documented = set(
        re.findall(r"^\| `(XENO_\w+)`", (PROJECT_DIR / "docs/operate/settings.md").read_text(), re.MULTILINE)
    )
    assert documented == {f"XENO_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(PROJECT_DIR).as_posix())
def test_every_link_and_picture_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_followed_or_for_contributors_and_the_readme_links_it() -> None:
    readme = (PROJECT_DIR / "README.md").read_text()
    written = sorted((PROJECT_DIR / "docs").rglob("*.md"))
    decisions = [page for page in written if page.parent.name == "decisions"]
    assert sorted([*pages()[1:], *contributor_pages(), *decisions]) == written
    names = [page.relative_to(PROJECT_DIR).as_posix() for page in pages()[1:]]
    assert [name for name in names if name not in readme] == []
