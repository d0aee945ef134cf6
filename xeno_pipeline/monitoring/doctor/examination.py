"""The examination: what is looked at, in which order, and what depends on what."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.monitoring.doctor.dagster_instance import examine_code_location, examine_dagster
from xeno_pipeline.monitoring.doctor.database import examine_inbox, examine_schema, reach_database
from xeno_pipeline.monitoring.doctor.figures import examine_figures
from xeno_pipeline.monitoring.doctor.finding import Finding, State
from xeno_pipeline.monitoring.doctor.installation import (
    examine_dbt_project,
    examine_disk,
    examine_packages,
    examine_python,
)
from xeno_pipeline.monitoring.doctor.secrets import examine_keys
from xeno_pipeline.monitoring.doctor.stores import examine_stores
from xeno_pipeline.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that can be looked at; what depends on something broken is left out.

    Args:
        settings: of the installation.

    Yields:
        What was found, as it is found.
    """
    yield examine_python()
    yield examine_packages()
    yield examine_disk(settings)
    yield examine_dbt_project(settings)
    yield examine_code_location()
    database, findings = reach_database(settings)
    yield from findings
    if database is None:
        return
    yield from examine_dagster(settings)
    is_migrated, findings = examine_schema(settings, database)
    yield from findings
    if not is_migrated:
        return
    if all(finding.state is State.OK for finding in findings):
        yield from examine_figures(settings, database)
    yield examine_inbox(database)
    ring, findings = examine_keys(settings, database)
    yield from findings
    yield from examine_stores(settings, database, ring)
