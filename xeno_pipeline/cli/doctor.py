"""`xeno doctor`: what is wrong with the installation."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array of results.")] = False,
) -> None:
    """Look for what is wrong with the installation, the database, Dagster and the stores; say how to mend it."""
    import json

    from xeno_pipeline.cli.render import show_diagnoses
    from xeno_pipeline.defs.doctor import diagnose_code_location, diagnose_dagster
    from xeno_pipeline.monitoring.doctor.diagnosis import State
    from xeno_pipeline.monitoring.doctor.run import diagnose
    from xeno_pipeline.settings import load_settings

    found = diagnose(load_settings(), diagnose_code_location=diagnose_code_location, diagnose_dagster=diagnose_dagster)
    diagnoses = list(found)
    if as_json:
        # `told` is the former name of `message`, for scripts that read it.
        rows = [{**vars(diagnosis), "told": diagnosis.message} for diagnosis in diagnoses]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        show_diagnoses(diagnoses)
    if any(diagnosis.state is State.WRONG for diagnosis in diagnoses):
        raise typer.Exit(1)
