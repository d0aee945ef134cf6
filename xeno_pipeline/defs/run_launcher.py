"""Where runs execute in a Kubernetes cluster: as Jobs, except for those of webhooks. `deploy/chart` configures it.

It needs the extra `kubernetes`; nothing else imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from xeno_pipeline.database.connection import open_database
from xeno_pipeline.defs.concurrency import BACKFILL, LANE_TAG, LIVE, ROUTINE
from xeno_pipeline.defs.dagster_internals import (
    BACKFILL_TAG,
    GRPC_TAG,
    JOB_IMAGE_TAG,
    CheckRunHealthResult,
    LaunchRunContext,
    WorkerStatus,
)
from xeno_pipeline.defs.instance import has_process
from xeno_pipeline.defs.run_presence import is_present
from xeno_pipeline.settings import load_settings

_ABSENT = "could not be found"
"""How Dagster's launcher ends what it says of a Job that does not exist."""


class KubernetesRunLauncher(K8sRunLauncher):
    """Launches runs as Jobs, and those of the lane `live` in the code server, which is ready seconds earlier.

    Args:
        priority_classes: names of PriorityClasses by lane; other lanes get that of `routine`.
        config: as of `dagster_k8s.K8sRunLauncher`.
    """

    def __init__(self, priority_classes: Mapping[str, str] | None = None, **config: Any) -> None:
        super().__init__(**config)
        self._priority_classes = dict(priority_classes or {})
        self._code_server = dg.DefaultRunLauncher()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The configuration of Dagster's launcher, and `priority_classes`."""
        fields: dict[str, Any] = super().config_type()  # type: ignore[no-untyped-call]
        by_lane = dg.Map(str, str)  # type: ignore[no-untyped-call]
        return fields | {"priority_classes": dg.Field(by_lane, is_required=False)}

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Called by Dagster once."""
        super().register_instance(instance)
        self._code_server.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Create the run's Job, or start it in the code server."""
        if context.dagster_run.tags.get(LANE_TAG) == LIVE[LANE_TAG]:
            self._code_server.launch_run(context)
        else:
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """End a run; whether that succeeded."""
        run = self._instance.get_run_by_id(run_id)
        launcher: Any = self._code_server if run is not None and GRPC_TAG in run.tags else super()
        return bool(launcher.terminate(run_id))

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's Job is active; of a run that has none, whether its process is present.

        Dagster marks a run as failed that is neither. An API server that does not answer is no reason to: if the run
        has died, the next check finds it.
        """
        if JOB_IMAGE_TAG not in run.tags:
            return _health_of_process(run)
        health: CheckRunHealthResult = super().check_run_worker_health(run)
        if health.status is WorkerStatus.UNKNOWN and not (health.msg or "").endswith(_ABSENT):
            return CheckRunHealthResult(WorkerStatus.RUNNING, health.msg)
        return health

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """What Kubernetes says of the run's pod; None of a run without one."""
        if JOB_IMAGE_TAG not in run.tags:
            return None
        return super().get_run_worker_debug_info(run, include_container_logs)

    def get_container_context_for_run(self, dagster_run: dg.DagsterRun) -> K8sContainerContext:
        """What the run's pod is made from: the configuration, what its tags may ask for, and its lane's priority."""
        context = super().get_container_context_for_run(dagster_run)
        name = self._priority_classes.get(_lane(dagster_run), self._priority_classes.get(ROUTINE[LANE_TAG]))
        if name is None:
            return context
        config = {"pod_spec_config": {"priority_class_name": name}}
        priority = UserDefinedDagsterK8sConfig.from_dict(config)  # type: ignore[no-untyped-call]
        return context.merge(K8sContainerContext(run_k8s_config=priority))


def _lane(run: dg.DagsterRun) -> str:
    default = BACKFILL if BACKFILL_TAG in run.tags else ROUTINE
    return run.tags.get(LANE_TAG, default[LANE_TAG])


def _health_of_process(run: dg.DagsterRun) -> CheckRunHealthResult:
    if not has_process(run):  # it is about to start
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    with open_database(load_settings()).connect(autocommit=True) as connection:
        if is_present(connection, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.FAILED, "The process of this run ended. What it had committed remains.")
