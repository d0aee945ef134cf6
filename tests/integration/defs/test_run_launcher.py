"""Runs in a cluster: which become Jobs, what those are like, and when a run counts as dead."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from tests.support.helm import ALL, NAMESPACE, Manifest, render
from tests.support.kubernetes_api import TOKEN, KubernetesApi, Served, serve_api
from tests.support.location import Location
from xeno_pipeline.defs.concurrency import BACKFILL, LIVE, REQUESTED, ROUTINE
from xeno_pipeline.defs.dagster_internals import BACKFILL_TAG, GRPC_TAG, JOB_IMAGE_TAG, LaunchRunContext, WorkerStatus
from xeno_pipeline.defs.instance import process_tags
from xeno_pipeline.defs.jobs.names import TRANSFORM_JOB
from xeno_pipeline.defs.run_launcher import KubernetesRunLauncher
from xeno_pipeline.defs.run_presence import hold_presence

pytestmark = pytest.mark.thorough

STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render(**ALL)


@pytest.fixture
def api(manifests: list[Manifest], tmp_path: Path) -> Iterator[Served]:
    (role,) = (each for each in manifests if each["kind"] == "Role")
    with serve_api(NAMESPACE, role, tmp_path) as served:
        yield served


@pytest.fixture
def launcher(manifests: list[Manifest], api: Served, location: Location, tmp_path: Path) -> KubernetesRunLauncher:
    """The launcher as the chart configures it, but for where the API is."""
    (config,) = (each["data"] for each in manifests if each["kind"] == "ConfigMap")
    given = yaml.safe_load(config["dagster.yaml"])["run_launcher"]["config"]
    outside: dict[str, Any] = {"load_incluster_config": False, "kubeconfig_file": str(api.kubeconfig(tmp_path))}
    made = KubernetesRunLauncher(**given, **outside)
    made.register_instance(location.instance)
    return made


def a_run(
    location: Location, tags: Mapping[str, str] | None = None, status: dg.DagsterRunStatus = STARTED
) -> dg.DagsterRun:
    pointer = ModuleCodePointer("xeno_pipeline.definitions", "defs")
    repository = RepositoryPythonOrigin(sys.executable, pointer, entry_point=["dagster"])
    job = location.definitions.resolve_job_def(TRANSFORM_JOB)
    return location.instance.create_run_for_job(
        job, tags=tags, status=status, job_code_origin=JobPythonOrigin(TRANSFORM_JOB, repository)
    )


def launch(launcher: KubernetesRunLauncher, api: KubernetesApi, run: dg.DagsterRun) -> dict[str, Any]:
    """The Job that is made for a run."""
    launcher.launch_run(LaunchRunContext(run, workspace=None))
    (name,) = (name for name in api.jobs if run.run_id in name)
    return api.jobs[name]


@pytest.mark.parametrize(
    ("tags", "priority"),
    [
        ({}, "stores-routine"),
        (ROUTINE, "stores-routine"),
        (REQUESTED, "stores-live"),
        (BACKFILL, "stores-backfill"),
        ({BACKFILL_TAG: "abcdefgh"}, "stores-backfill"),
    ],
)
def test_a_run_is_a_job_of_its_lanes_priority(
    launcher: KubernetesRunLauncher,
    api: Served,
    location: Location,
    tags: dict[str, str],
    priority: str,
) -> None:
    job = launch(launcher, api.api, a_run(location, tags, dg.DagsterRunStatus.STARTING))

    for version in ("1.27", "1.37"):
        kubernetes_validate.validate(without_nulls(job), version, strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["priorityClassName"] == priority
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["nodeSelector"] == {"pool": "runs"}
    assert [secret["name"] for secret in pod["imagePullSecrets"]] == ["registry"]
    assert container["image"] == "registry.example.com/xeno-pipeline:0a1b2c3"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["XENO_SECRETS_DIR"] == "/etc/xeno/secrets"
    assert variables["XENO_INBOX_DAYS"] == "10"
    assert variables["DAGSTER_HOME"] == "/opt/dagster/home"
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"/var/lib/xeno", "/tmp", "/etc/xeno/secrets"}  # the instance comes with the arguments
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "run"
    assert api.api.forbidden == []


def test_a_runs_tags_get_it_more_memory_and_nothing_else(
    launcher: KubernetesRunLauncher, api: Served, location: Location
) -> None:
    more = '{"container_config": {"resources": {"limits": {"memory": "4Gi"}}}}'
    job = launch(launcher, api.api, a_run(location, {"dagster-k8s/config": more}))
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "4Gi"

    other = '{"container_config": {"image": "evil:1"}}'
    with pytest.raises(Exception, match="image"):
        launch(launcher, api.api, a_run(location, {"dagster-k8s/config": other}))


def test_a_run_for_webhooks_is_no_job(launcher: KubernetesRunLauncher, api: Served, location: Location) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match="workspace"):  # the code server's launcher asks for it
        launcher.launch_run(LaunchRunContext(a_run(location, LIVE), workspace=None))
    assert api.api.jobs == {}


def test_a_run_of_the_command_line_lives_as_long_as_its_process(
    launcher: KubernetesRunLauncher, location: Location
) -> None:
    starting, running = a_run(location), a_run(location, process_tags())
    with hold_presence(location.installation.database, running.run_id):
        assert launcher.check_run_worker_health(starting).status is WorkerStatus.RUNNING
        assert launcher.check_run_worker_health(running).status is WorkerStatus.RUNNING
    ended = launcher.check_run_worker_health(running)
    assert (ended.status, "process of this run ended" in (ended.msg or "")) == (WorkerStatus.FAILED, True)
    assert launcher.get_run_worker_debug_info(running) is None


def test_a_job_that_is_deleted_is_dead_but_an_api_that_fails_kills_no_run(
    launcher: KubernetesRunLauncher, api: Served, location: Location
) -> None:
    run = a_run(location)
    launch(launcher, api.api, run)
    run = location.instance.get_run_by_id(run.run_id) or run
    assert JOB_IMAGE_TAG in run.tags
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    api.api.broken = True
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    api.api.broken = False
    assert launcher.terminate(run.run_id)
    assert api.api.jobs == {}
    assert launcher.check_run_worker_health(run).status is WorkerStatus.UNKNOWN
    assert api.api.forbidden == []


def test_a_run_in_the_code_server_is_terminated_there(
    launcher: KubernetesRunLauncher, api: Served, location: Location
) -> None:
    run = a_run(location, LIVE | {GRPC_TAG: '{"host": "127.0.0.1", "port": 9}'})
    with pytest.raises(DagsterUserCodeUnreachableError):  # nothing listens there
        launcher.terminate(run.run_id)


def test_the_role_is_what_the_api_goes_by(tmp_path: Path) -> None:
    jobs_only = {"rules": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}]}
    with serve_api(NAMESPACE, jobs_only, tmp_path) as served:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=job-name%3Dx"
        assert served.api.answer("GET", path, f"Bearer {TOKEN}", {})[0] == 403
        assert served.api.forbidden == ["list pods"]


def without_nulls(value: Any) -> Any:
    """A manifest as a client sends it: what is null is not there."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value
