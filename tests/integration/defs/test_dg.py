"""Dagster's own command line `dg` finds the project: `[tool.dg]` of pyproject.toml is all that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xeno_pipeline.settings import PROJECT_DIR

pytestmark = pytest.mark.thorough


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of this package is set, apart from where the parsed dbt project is kept."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XENO_", "DAGSTER_"))}
    return {**kept, "XENO_HOME": str(tmp_path)}


def dg(environment: dict[str, str], *words: str) -> str:
    command = [str(Path(sys.executable).parent / "dg"), *words]
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dg_checks_and_lists_the_definitions(environment: dict[str, str]) -> None:
    assert "All definitions loaded successfully." in dg(environment, "check", "defs")
    listed = json.loads(dg(environment, "list", "defs", "--json"))
    names = {section: {each.get("asset_key") or each["name"] for each in found} for section, found in listed.items()}
    assert {"marts/revenue_daily", "raw/orders", "shopify/orders"} <= names["assets"]
    assert {"sync", "events"} <= names["jobs"]
    assert "hourly_sync" in names["schedules"]
    assert "webhooks" in names["sensors"]
