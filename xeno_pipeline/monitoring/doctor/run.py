"""The whole diagnosis: its parts in order, without those that depend on something broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xeno_pipeline.monitoring.doctor.checks import diagnose_figures, diagnose_privacy, diagnose_webhooks
from xeno_pipeline.monitoring.doctor.database import connect_database, diagnose_schema
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, State
from xeno_pipeline.monitoring.doctor.installation import (
    diagnose_dbt_project,
    diagnose_disk,
    diagnose_packages,
    diagnose_python,
)
from xeno_pipeline.monitoring.doctor.secrets import diagnose_keys
from xeno_pipeline.monitoring.doctor.stores import diagnose_stores
from xeno_pipeline.settings import Settings


def diagnose(
    settings: Settings,
    *,
    diagnose_code_location: Callable[[Settings], Diagnosis],
    diagnose_dagster: Callable[[Settings], list[Diagnosis]],
) -> Iterator[Diagnosis]:
    """Diagnose every part of an installation; each result is yielded as soon as it is known.

    What needs Dagster is passed in, because monitoring does not import it.
    """
    yield diagnose_python()
    yield diagnose_packages()
    yield diagnose_disk(settings)
    yield diagnose_dbt_project(settings)
    yield diagnose_code_location(settings)
    database, diagnoses = connect_database(settings)
    yield from diagnoses
    if database is None:
        return
    yield from diagnose_dagster(settings)
    is_migrated, diagnoses = diagnose_schema(settings, database)
    yield from diagnoses
    if not is_migrated:
        return
    if all(diagnosis.state is State.OK for diagnosis in diagnoses):
        yield from diagnose_figures(settings, database)
    yield from diagnose_webhooks(settings, database)
    yield from diagnose_privacy(settings, database)
    ring, diagnoses = diagnose_keys(settings, database)
    yield from diagnoses
    yield from diagnose_stores(settings, database, ring)
