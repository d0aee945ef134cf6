"""The chart's pods: each container runs as its manifest says, and together they sync a store by a Job."""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import psycopg
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from tests.support.containers import Containers
from tests.support.helm import NAMESPACE, NEEDED, Manifest, render
from tests.support.installation import Shop
from tests.support.kubernetes_api import KubernetesApi, serve_api
from tests.support.loopback import answers, free_port
from tests.support.pods import Cluster, Pod, can_have_roots
from tests.support.webserver_runs import await_success, launch_run
from xeno_pipeline.database.embedded import EmbeddedServer

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not can_have_roots(), reason="pods need a root user who may make mount namespaces (Linux)"),
]

SERVICES = ("code", "webserver", "daemon", "gateway", "insights")
PORTS = (3000, 4000, 8710, 8720, 9710, 9720)
START_SECONDS = 150
"""Five processes, four of which import Dagster, on two cores that run other tests too."""
RUN_SECONDS = 200
END_SECONDS = 10
PASSWORD = "a password: of /all %20 kinds?"


@dataclass
class Running:
    """The chart, installed.

    Args:
        pods: by component.
        processes: what runs of them.
        runs: the pods of Jobs.
    """

    cluster: Cluster
    api: KubernetesApi
    pods: dict[str, Pod]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    runs: list[Pod] = field(default_factory=list)

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{self.cluster.ports[port]}"

    def start(self) -> None:
        """Migrate as the hook does, then start the services."""
        self.pods["migrate"].run(seconds=RUN_SECONDS)
        for service in SERVICES:
            self.processes[service] = self.pods[service].start()

    def await_probes(self) -> None:
        """Wait until each service answers its probes."""
        deadline = time.monotonic() + START_SECONDS
        for service in SERVICES:
            for kind in ("startup", "readiness", "liveness"):
                probe = self.pods[service].container.get(f"{kind}Probe", {})
                while not self._is_answered(service, probe):
                    assert self.processes[service].poll() is None, self.pods[service].log.read_text()[-3000:]
                    assert time.monotonic() < deadline, f"{service}: {probe}"
                    time.sleep(0.5)

    def end(self) -> None:
        """End all, by force where it takes long: a code server waits a minute for calls that it answers."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _is_answered(self, service: str, probe: dict[str, Any]) -> bool:
        if "httpGet" in probe:
            ports = {port["name"]: port["containerPort"] for port in self.pods[service].container["ports"]}
            return answers(self.url(ports[probe["httpGet"]["port"]]) + probe["httpGet"]["path"])
        if "grpc" in probe:
            return is_serving(self.cluster.ports[probe["grpc"]["port"]], probe["grpc"]["service"])
        return True


def is_serving(port: int, service: str) -> bool:
    """What a kubelet asks."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            request = health_pb2.HealthCheckRequest(service=service)
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture(scope="module")
def running(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("pods"), free_port()
    for parent in (folder, *folder.parents):  # pytest's folders are closed to other users
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    postgres = EmbeddedServer(make_home(), port)
    with psycopg.connect(postgres.ensure_running(), autocommit=True) as connection:
        connection.execute(f"alter role xeno password '{PASSWORD}'")
    Containers(folder, port, {}).build()
    manifests = render(**{**NEEDED, "database": {"url": f"postgresql://xeno@postgres.example.com:{port}/xeno"}})
    secret = {
        "xeno_database_password": PASSWORD,
        "xeno_serving_password": PASSWORD[::-1],
        "xeno_encryption_keys": f"k1:{b64encode(secrets.token_bytes(32)).decode()}",
        "xeno_shopify_api_secret": "shpss_chart",
    }
    (role,) = (each for each in manifests if each["kind"] == "Role")
    runs: list[Pod] = []

    def start_run(job: Manifest) -> subprocess.Popen[bytes]:
        runs.append(Pod(cluster, f"run-{len(runs)}", job["spec"]["template"]["spec"]))
        return runs[-1].start()

    with serve_api(NAMESPACE, role, folder, start_run) as served:
        cluster = Cluster(
            folder,
            folder / "image",
            {each["metadata"]["name"]: each["data"] for each in manifests if each["kind"] == "ConfigMap"},
            secret,
            {inner: free_port() for inner in PORTS},
            ("postgres.example.com", *(each["metadata"]["name"] for each in manifests if each["kind"] == "Service")),
            served.account(),
        )
        pods = {
            template["metadata"]["labels"]["app.kubernetes.io/component"]: template["spec"]
            for template in (each["spec"]["template"] for each in manifests if each["kind"] in ("Deployment", "Job"))
        }
        installed = Running(cluster, served.api, {name: Pod(cluster, name, pods[name]) for name in pods}, runs=runs)
        try:
            yield installed
        finally:
            installed.end()
            postgres.stop()


@pytest.mark.timeout(900)
def test_the_pods_answer_their_probes_and_a_run_is_a_job_that_fills_the_marts(running: Running, shelf: Shop) -> None:
    running.start()
    running.await_probes()
    code = running.pods["code"]

    # Metrics are at a port of their own, and at no other.
    for public, metrics in ((8710, 9710), (8720, 9720)):
        assert requests.get(f"{running.url(public)}/metrics", timeout=10).status_code in (404, 303)
        assert "process_cpu_seconds_total" in requests.get(f"{running.url(metrics)}/metrics", timeout=10).text

    (code_home,) = (source for source, target in code._mounts if target == "/var/lib/xeno")
    assert not (code_home / "dbt").exists(), "the parse in the image is not used"

    added = code.run("xeno", "tenant", "add", shelf.handle, "--api-url", shelf.api_url, seconds=RUN_SECONDS)
    assert "is connected" in added
    run_id = launch_run(running.url(3000), "sync")
    await_success(running.url(3000), run_id, RUN_SECONDS)
    (run,) = running.runs
    assert run_id in str(list(running.api.jobs))
    assert "read-only" not in run.log.read_text().lower()

    # A run by hand in a pod has no Job; the daemon, which looks for the dead every half minute, lets it be.
    code.run("xeno", "sync", shelf.handle, seconds=RUN_SECONDS)
    counted = code.run("xeno", "db", "psql", "-tAc", "select count(*) from marts.fct_orders", seconds=60)
    assert re.search(r"^60$", counted, re.MULTILINE)
    assert running.api.forbidden == []


@pytest.mark.timeout(300)
def test_a_container_cannot_write_to_its_image_and_is_no_root(running: Running) -> None:
    script = (
        "import os; open('/tmp/x', 'w'); print(os.getuid(), *(os.access(f, os.W_OK) for f in ('/opt/xeno', '/etc')))"
    )
    assert "10001 False False" in running.pods["gateway"].run("python", "-c", script, seconds=60)
