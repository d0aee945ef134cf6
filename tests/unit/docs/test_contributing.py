"""What CONTRIBUTING promises: the hooks run what `make lint` runs, and the workflow what CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.documentation import blocks, contributor_pages
from xeno_pipeline.settings import PROJECT_DIR


def recipe(target: str) -> set[str]:
    """The commands of a target of the Makefile, without their folder."""
    makefile = (PROJECT_DIR / "Makefile").read_text()
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found is not None
    return {line.strip().removeprefix("$(BIN)/") for line in found[1].splitlines()}


def test_the_hooks_of_pre_commit_run_what_make_lint_runs() -> None:
    (repository,) = yaml.safe_load((PROJECT_DIR / ".pre-commit-config.yaml").read_text())["repos"]
    assert {hook["entry"].removeprefix(".venv/bin/") for hook in repository["hooks"]} == recipe("lint")


def test_the_workflow_calls_the_script_of_ci_and_knows_every_python() -> None:
    jobs = yaml.safe_load((PROJECT_DIR / ".github/workflows/ci.yml").read_text())["jobs"]
    steps = {job: [step["run"] for step in jobs[job]["steps"] if "run" in step] for job in jobs}
    assert steps == {"all": [".ci/run"], "pythons": ["make test"]}
    assert (PROJECT_DIR / ".ci/run").stat().st_mode & 0o111


def test_the_templates_for_issues_are_forms() -> None:
    for form in ("bug", "feature"):
        template = yaml.safe_load((PROJECT_DIR / f".github/ISSUE_TEMPLATE/{form}.yml").read_text())
        assert {"name", "description", "body"} <= template.keys()


@pytest.mark.parametrize("page", contributor_pages(), ids=lambda page: page.stem)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    created = {block.file for block in blocks(page) if block.file is not None}
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|sql|yml|md))`", page.read_text())) - created
    roots = (PROJECT_DIR, *(PROJECT_DIR / room for room in ("xeno_pipeline", "xeno_pipeline/defs", "dbt_project")))
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []
