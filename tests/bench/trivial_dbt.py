"""What dbt itself takes: a project of one trivial model, parsed before, run in a process that has dbt loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from dbt.cli.main import dbtRunner

from xeno_pipeline.database.connection import Database, connection_variables
from xeno_pipeline.marts.dbt import DBT_PROJECT_DIR

_PROJECT = "name: trivial\nversion: '1.0'\nprofile: xeno\nmodel-paths: [models]\n"
_MODEL = "{{ config(materialized='table') }} select 1 as one\n"


def trivial_run(database: Database, folder: Path) -> Callable[[], float]:
    """Makes the project.

    Args:
        database: in which its table is made, in a schema of its own.
        folder: an empty one.

    Returns:
        Runs the model, and returns the seconds that it took.
    """
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_PROJECT)
    (folder / "models" / "one.sql").write_text(_MODEL)
    profiles = (DBT_PROJECT_DIR / "profiles.yml").read_text()
    (folder / "profiles.yml").write_text(profiles.replace("schema: public", "schema: trivial"))
    place = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--target-path", str(folder / "target")]
    manners = ["--log-level", "none", "--log-level-file", "none", "--log-path", str(folder / "logs")]
    options = [*place, *manners, "--no-send-anonymous-usage-stats", "--no-version-check", "--no-write-json"]
    os.environ.update({"PGHOST": "localhost", **connection_variables(database.url)})

    def invoke(command: str, runner: dbtRunner) -> object:
        outcome = runner.invoke([command, *options])
        assert outcome.success, outcome.exception
        return outcome.result

    parsed = invoke("parse", dbtRunner())

    def measure() -> float:
        started = time.perf_counter()
        invoke("run", dbtRunner(manifest=parsed))  # type: ignore[arg-type]  # what a parse returns
        return time.perf_counter() - started

    return measure
