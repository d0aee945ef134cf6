"""Python, the packages, the dbt project and the disk."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.finding import Finding, from_error, ok, warning, wrong
from xeno_pipeline.settings import Settings

_PACKAGE = "xeno-pipeline"
_GIB = 2**30
_LEAST_FREE = 1 * _GIB
"""The history of a large store is spooled to disk, and Postgres stops where it cannot write."""
_LITTLE_FREE = 5 * _GIB


def examine_python() -> Finding:
    """Whether this Python is one that the package is for."""
    wanted, running = distribution(_PACKAGE).metadata["Requires-Python"], platform.python_version()
    if SpecifierSet(wanted).contains(running):
        return ok("python", f"Python {running}")
    return wrong("python", f"Python {running} runs, {wanted} is needed.", "Remove .venv, and run `make install`.")


def examine_packages() -> Finding:
    """Whether the packages that are needed are there, in versions that fit."""
    requirements = [Requirement(line) for line in distribution(_PACKAGE).requires or ()]
    needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    unfit = [problem for requirement in needed if (problem := _unfit(requirement))]
    if unfit:
        return wrong("packages", f"{'; '.join(unfit)}.", "Run `make install` (in an image: build it anew).")
    return ok("packages", f"{len(needed)} packages are installed in versions that fit")


def examine_dbt_project(settings: Settings) -> Finding:
    """Whether dbt understands the project: it is parsed where nobody has yet."""
    from xeno_pipeline.marts.dbt import DbtProject

    project = DbtProject(settings)
    try:
        place = project.manifest_path
    except (XenoError, OSError) as error:
        return from_error("dbt project", error)
    return ok("dbt project", f"version {project.version}, parsed in {place.parent}")


def examine_disk(settings: Settings) -> Finding:
    """Whether there is room where local state lives."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    told = f"{free / _GIB:.1f} GiB are free for {settings.home}"
    if free < _LEAST_FREE:
        return wrong("disk", f"Only {told}.", "Make room, or point XENO_HOME to a larger disk.")
    if free < _LITTLE_FREE:
        return warning("disk", f"Only {told}.", "A large store's history takes some GiB while it is read: make room.")
    return ok("disk", told)


def _unfit(requirement: Requirement) -> str | None:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    return f"{requirement.name} is {installed} instead of {requirement.specifier}"
