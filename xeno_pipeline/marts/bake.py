"""Parse the dbt project while an image is built, so that no container has to."""

from __future__ import annotations

from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.settings import load_settings

if __name__ == "__main__":
    DbtProject(load_settings()).bake()
