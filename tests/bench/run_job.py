"""A run of a job in a process of its own, as Dagster's launcher would start it.

python -m tests.bench.run_job JOB OP LANE HANDLE…

OP is empty for a job that is about all tenants.
"""

from __future__ import annotations

import sys

from xeno_pipeline.defs import concurrency
from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.defs.instance import open_instance
from xeno_pipeline.settings import load_settings

_LANES = {"routine": concurrency.ROUTINE, "backfill": concurrency.BACKFILL}


def main(job: str, op: str, lane: str, *handles: str) -> int:
    settings = load_settings()
    config = {
        "ops": {op: {"config": {"tenants": list(handles)}}} if op else {},
        "loggers": {"console": {"config": {"log_level": "ERROR"}}},
    }
    with open_instance(settings) as instance:
        ran = (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(run_config=config, instance=instance, tags=dict(_LANES[lane]), raise_on_error=False)
        )
    return 0 if ran.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
