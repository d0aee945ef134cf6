"""Python, the packages, the dbt project and the disk."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, from_error, ok, warning, wrong
from xeno_pipeline.settings import Settings

_PACKAGE = "xeno-pipeline"
_GIB = 2**30
_MIN_FREE = 1 * _GIB
"""The history of a large store is spooled to disk, and Postgres stops when the disk is full."""
_LOW_FREE = 5 * _GIB


def diagnose_python() -> Diagnosis:
    """Whether the package supports this version of Python."""
    required, running = distribution(_PACKAGE).metadata["Requires-Python"], platform.python_version()
    if SpecifierSet(required).contains(running):
        return ok("python", f"Python {running}")
    return wrong(
        "python", f"This is Python {running}, but {required} is required.", "Remove .venv, and run `make install`."
    )


def diagnose_packages() -> Diagnosis:
    """Whether the required packages are installed in compatible versions."""
    requirements = [Requirement(line) for line in distribution(_PACKAGE).requires or ()]
    needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    problems = [problem for requirement in needed if (problem := _incompatibility(requirement))]
    if problems:
        return wrong("packages", f"{'; '.join(problems)}.", "Run `make install` (in an image: rebuild it).")
    return ok("packages", f"{len(needed)} packages are installed in compatible versions")


def diagnose_dbt_project(settings: Settings) -> Diagnosis:
    """Whether dbt parses the project; the result is cached."""
    from xeno_pipeline.marts.dbt import DbtProject

    project = DbtProject(settings)
    try:
        manifest = project.manifest_path
    except (XenoError, OSError) as error:
        return from_error("dbt project", error)
    return ok("dbt project", f"version {project.version}, parsed in {manifest.parent}")


def diagnose_disk(settings: Settings) -> Diagnosis:
    """Whether there is free space for local state."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    free_space = f"{free / _GIB:.1f} GiB are free for {settings.home}"
    if free < _MIN_FREE:
        return wrong("disk", f"Only {free_space}.", "Free some space, or point XENO_HOME to a larger disk.")
    if free < _LOW_FREE:
        return warning(
            "disk", f"Only {free_space}.", "Loading a large store's history takes some GiB: free some space."
        )
    return ok("disk", free_space)


def _incompatibility(requirement: Requirement) -> str | None:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    return f"{requirement.name} is {installed} instead of {requirement.specifier}"
