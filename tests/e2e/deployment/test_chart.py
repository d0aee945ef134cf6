"""The Helm chart: what it renders is valid Kubernetes, and says what the documentation says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.helm import ALL, CHART, LEAST, NEEDED, Manifest, helm, render
from xeno_pipeline.settings import PROJECT_DIR, Settings

pytestmark = pytest.mark.thorough

VERSIONS = ("1.27", "1.37")
"""The oldest Kubernetes that the chart names, and the newest that the validator knows."""

VALUES = {"default": NEEDED, "all": ALL, "least": LEAST}
WITH_TOKEN = {"daemon", "webserver"}
REPLICATED = {"webserver", "gateway", "insights"}
SECRET = re.compile("PASSWORD|KEYS|SECRET$|SMTP|WEBHOOK_URL")


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Manifest]]:
    return {name: render(**values) for name, values in VALUES.items()}


@pytest.fixture(scope="module")
def chart(rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    """With every value."""
    return rendered["all"]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The components that have pods, and the pods' specifications."""
    for each in manifests:
        if each["kind"] in ("Deployment", "Job"):
            template = each["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


def instance(manifests: list[Manifest]) -> dict[str, Any]:
    (config,) = of_kind(manifests, "ConfigMap").values()
    loaded: dict[str, Any] = yaml.safe_load(config["data"]["dagster.yaml"])
    return loaded


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(rendered: dict[str, list[Manifest]], values: str, version: str) -> None:
    kinds = set()
    for manifest in rendered[values]:
        # What the validator does not know, it reports by an exception too.
        kubernetes_validate.validate(manifest, version, strict=True)
        kinds.add(manifest["kind"])
    assert {"Deployment", "Job", "Role", "ConfigMap", "Service"} <= kinds


def test_the_validator_notices_what_is_wrong(chart: list[Manifest]) -> None:
    gateway = of_kind(chart, "Deployment")["stores-gateway"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**gateway, "spec": {**gateway["spec"], "replica": 2}}, "1.37", strict=True)
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate({**gateway, "apiVersion": "apps/v9"}, "1.37", strict=True)


def test_helm_has_no_objection() -> None:
    done = helm("lint", "--strict", ".", **NEEDED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "repository"),
        ({"image": {"repository": "r/x", "tag": "latest"}, "database": NEEDED["database"]}, "tag"),
        ({**NEEDED, "database": {"url": "postgresql://xeno:secret@host/xeno"}}, "url"),
        ({**NEEDED, "database": {"url": "postgresql://xeno@host/xeno?password=x"}}, "url"),
        ({**NEEDED, "settings": {"XENO_DATABASE_PASSWORD": "x"}}, "XENO_DATABASE_PASSWORD"),
        ({**NEEDED, "settings": {"XENO_SHOPIFY_API_SECRET": "x"}}, "XENO_SHOPIFY_API_SECRET"),
        ({**NEEDED, "daemon": {"replicas": 2}}, "daemon"),
        ({**NEEDED, "gateway": {"ingress": {"enabled": True}}}, "host"),
        ({**NEEDED, "runs": {"maxConcurrent": 20}}, "maxConcurrent"),
        ({**NEEDED, "gatway": {}}, "gatway"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    done = helm("template", "stores", ".", **values)
    assert done.returncode != 0
    assert named in done.stderr


def test_no_container_runs_as_root_writes_to_its_image_or_has_capabilities(chart: list[Manifest]) -> None:
    for component, pod in pods(chart):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], component
        assert pod["securityContext"]["runAsUser"] == 10001, component
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, component
        assert "memory" in container["resources"]["limits"], component
    assert re.findall(r"--uid (\d+)", (PROJECT_DIR / "Dockerfile").read_text()) == ["10001"]


def test_only_who_launches_runs_has_a_token_and_it_may_only_make_runs(chart: list[Manifest]) -> None:
    for account in of_kind(chart, "ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False
    for component, pod in pods(chart):
        assert pod["automountServiceAccountToken"] is (component in WITH_TOKEN)
        assert (pod.get("serviceAccountName") == "stores-launcher") is (component in WITH_TOKEN)
    (role,) = of_kind(chart, "Role").values()
    allowed = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {(resource, verb) for resource, verb in allowed if verb not in ("get", "list")} == {
        ("jobs", "create"),
        ("jobs", "delete"),
        ("pods", "delete"),
    }
    assert not [each for each in allowed if each[0] in ("secrets", "pods/exec", "*") or each[1] == "*"]


def test_no_secret_is_in_a_manifest_and_each_pod_mounts_only_its_own(chart: list[Manifest]) -> None:
    assert "Secret" not in {manifest["kind"] for manifest in chart}
    for component, pod in pods(chart):
        (container,) = pod["containers"]
        assert not [variable["name"] for variable in container["env"] if SECRET.search(variable["name"])]
        given = keys_of(pod["volumes"])
        if component == "insights":
            assert given == {"xeno_serving_password"}
        elif component in WITH_TOKEN:
            assert given == {"xeno_database_password"}
        assert ("xeno_encryption_keys" in given) is (component in ("code", "gateway"))
        assert {mount["mountPath"] for mount in container["volumeMounts"]}.isdisjoint({"/run/secrets", "/var/run"})
    settings = {f"xeno_{name}" for name in Settings.model_fields}
    assert keys_of(instance(chart)["run_launcher"]["config"]["volumes"]) <= settings


def keys_of(volumes: list[dict[str, Any]]) -> set[str]:
    (secrets,) = (volume for volume in volumes if volume["name"] == "secrets")
    return {item["key"] for source in secrets["projected"]["sources"] for item in source["secret"]["items"]}


def test_every_variable_is_a_setting(chart: list[Manifest]) -> None:
    known = {f"XENO_{name.upper()}" for name in Settings.model_fields} | {"XENO_SECRETS_DIR"}
    for component, pod in pods(chart):
        (container,) = pod["containers"]
        names = {variable["name"] for variable in container["env"]}
        assert {name for name in names if name.startswith("XENO_")} <= known, component
        assert ("XENO_PUBLIC_URL" in names) is (component in ("code", "gateway")), component


def test_liveness_asks_nothing_of_the_database(chart: list[Manifest]) -> None:
    probes = {
        component: [pod["containers"][0].get(f"{kind}Probe", {}) for kind in ("startup", "liveness", "readiness")]
        for component, pod in pods(chart)
        if component != "migrate"
    }
    for component in ("gateway", "insights"):
        *always, readiness = probes[component]
        assert [probe["httpGet"]["path"] for probe in always] == ["/healthz", "/healthz"]
        assert readiness["httpGet"]["path"] == "/readyz"
    assert all(probe["grpc"]["port"] == 4000 for probe in probes["code"])
    assert all(probe["httpGet"]["path"] == "/server_info" for probe in probes["webserver"])
    assert probes["daemon"] == [{}, {}, {}]


def test_there_is_one_daemon_and_never_two_for_a_moment(chart: list[Manifest]) -> None:
    daemon = of_kind(chart, "Deployment")["stores-daemon"]
    assert (daemon["spec"]["replicas"], daemon["spec"]["strategy"]) == (1, {"type": "Recreate"})
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(chart, "HorizontalPodAutoscaler").values()}
    assert "stores-daemon" not in scaled


def test_what_has_replicas_is_spread_and_not_drained_all_at_once(rendered: dict[str, list[Manifest]]) -> None:
    chart = rendered["default"]
    deployments = of_kind(chart, "Deployment")
    budgets = {
        budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for budget in of_kind(chart, "PodDisruptionBudget").values()
    }
    spread = {component for component, pod in pods(chart) if "topologySpreadConstraints" in pod}
    assert budgets == spread == REPLICATED
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(chart, "HorizontalPodAutoscaler").values()}
    assert scaled == {"stores-gateway", "stores-insights"}
    # An autoscaler and a number of replicas would undo each other with every upgrade.
    assert {name for name, each in deployments.items() if "replicas" not in each["spec"]} == scaled
    assert of_kind(rendered["all"], "Deployment")["stores-gateway"]["spec"]["replicas"] == 2


def test_metrics_are_not_where_the_public_is(chart: list[Manifest]) -> None:
    for component in ("gateway", "insights"):
        container = dict(pods(chart))[component]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        arguments = container["args"]
        assert arguments[arguments.index("--metrics-port") + 1] == str(ports["metrics"])
        service = of_kind(chart, "Service")[f"stores-{component}"]
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
        policy = of_kind(chart, "NetworkPolicy")[f"stores-{component}"]
        reached = {
            port["port"]: rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for rule in policy["spec"]["ingress"]
            for port in rule["ports"]
        }
        assert reached == {ports["http"]: "ingress-nginx", ports["metrics"]: "monitoring"}
    paths = [
        path["path"]
        for rule in of_kind(chart, "Ingress")["stores-gateway"]["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert paths == ["/webhooks", "/auth"]


def test_services_and_policies_select_the_pods_they_are_named_after(chart: list[Manifest]) -> None:
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind(chart, "Deployment").values()
    }
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for name, each in of_kind(chart, kind).items():
            spec = each["spec"]
            selector = spec["podSelector"] if kind == "NetworkPolicy" else spec["selector"]
            wanted = selector.get("matchLabels", selector)
            selected = {pod for pod, given in labels.items() if wanted.items() <= given.items()}
            assert selected == (set(labels) if name == "stores-default" else {name}), (kind, name)
    host = yaml.safe_load(of_kind(chart, "ConfigMap")["stores-instance"]["data"]["workspace.yaml"])
    assert host["load_from"][0]["grpc_server"]["host"] in of_kind(chart, "Service")


def test_the_migration_needs_nothing_of_its_release(chart: list[Manifest]) -> None:
    (job,) = of_kind(chart, "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod
    assert "priorityClassName" not in pod
    assert "configMap" not in str(pod)
    assert keys_of(pod["volumes"]) == {"xeno_database_password", "xeno_serving_password"}


def test_the_instance_differs_from_the_repositorys_own_in_what_a_cluster_changes(chart: list[Manifest]) -> None:
    ours, theirs = yaml.safe_load((PROJECT_DIR / "dagster.yaml").read_text()), instance(chart)
    assert {key for key in ours if ours[key] == theirs.get(key)} == {
        "storage",
        "telemetry",
        "nux",
        "run_queue",
        "sensors",
        "retention",
    }
    assert theirs.keys() - ours.keys() == {"compute_logs", "local_artifact_storage", "run_launcher", "run_retries"}

    def lanes(of: dict[str, Any]) -> set[str]:
        return {limit.get("value") for limit in of["concurrency"]["runs"]["tag_concurrency_limits"][:-1]}

    assert lanes(ours) == lanes(theirs)
    assert (
        ours["concurrency"]["runs"]["tag_concurrency_limits"][-1]
        == (theirs["concurrency"]["runs"]["tag_concurrency_limits"][-1])
    )
    assert theirs["local_artifact_storage"]["config"]["base_dir"].startswith("/var/lib/xeno/")


def test_the_notes_say_what_is_missing() -> None:
    def notes(**values: Any) -> str:
        done = helm("install", "stores", ".", "--dry-run=client", "--namespace", "pipelines", **values)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    missing, complete = notes(**LEAST), notes(**ALL)
    for word in ("gateway.ingress is off", "XENO_PUBLIC_URL is not set", "networkPolicy is off"):
        assert word in missing
        assert word not in complete
    assert "exec deploy/stores-code -- xeno doctor" in complete


def test_the_chart_is_of_the_packages_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"', (PROJECT_DIR / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == version[1]
