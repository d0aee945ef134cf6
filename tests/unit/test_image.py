"""What the production image leaves out."""

from __future__ import annotations

import re

from xeno_pipeline.settings import PROJECT_DIR


def test_the_image_has_nothing_of_the_sandbox() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (PROJECT_DIR / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert {"xeno_pipeline", "dbt_project"} <= sources
    assert not {source for source in sources if source == "." or "sandbox" in source}
    assert "sandbox" not in (PROJECT_DIR / ".dockerignore").read_text()  # it names what Docker may read

    locked = re.findall(r"^([\w.-]+)==", (PROJECT_DIR / "deploy/requirements.lock").read_text(), re.MULTILINE)
    assert "dagster" in locked
    assert not {"duckdb", "pyarrow", "uv", "pytest"} & set(locked)
