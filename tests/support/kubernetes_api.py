"""As much of Kubernetes's API as runs need: Jobs and their pods, kept in memory, for whom a Role allows it.

What it is asked for without the Role's permission it refuses by 403, and remembers. Each Job has a pod, which is what
the given function starts for it: a process, or nothing.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.loopback import Quiet, serving

TOKEN = "token-of-the-launcher"
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>\w+)/v1)/namespaces/(?P<namespace>[^/]+)/(?P<kind>\w+)(?:/(?P<name>[^/?]+))?"
    r"(?:/(?P<sub>\w+))?(?:\?(?P<query>.*))?"
)
_SECONDS_TO_END = 60.0

Object = dict[str, Any]
Start = Callable[[Object], "subprocess.Popen[bytes] | None"]


class KubernetesApi:
    """The API; use `serve_api`.

    Args:
        namespace: the only one there is.
        role: what the token's account may do.
        start: starts the process of a Job's pod.
    """

    def __init__(self, namespace: str, role: Object, start: Start) -> None:
        self.namespace = namespace
        self.jobs: dict[str, Object] = {}
        self.forbidden: list[str] = []
        self.broken = False
        """Whether every request is answered by 500."""
        self._role, self._start = role, start
        self._pods: dict[str, subprocess.Popen[bytes] | None] = {}
        self._lock = threading.Lock()

    def kill_pod(self, job: str) -> None:
        """End a Job's pod as a lost node does."""
        process = self._pods[job]
        assert process is not None
        process.kill()
        process.wait()

    def answer(self, method: str, path: str, token: str | None, body: Object) -> tuple[int, Object]:
        """A request's status and answer."""
        found = _PATH.fullmatch(path)
        if self.broken or found is None:
            return (500, _status(500, "broken")) if self.broken else (404, _status(404, path))
        scheme, _, value = (token or "").partition(" ")
        if scheme.lower() != "bearer" or value != TOKEN:
            return 401, _status(401, "no token")
        verb = {"POST": "create", "DELETE": "delete", "GET": "get" if found["name"] else "list"}[method]
        resource = found["kind"] + (f"/{found['sub']}" if found["sub"] else "")
        if found["namespace"] != self.namespace or not self._is_allowed(found["group"] or "", resource, verb):
            self.forbidden.append(f"{verb} {resource}")
            return 403, _status(403, f"{verb} {resource}")
        with self._lock:
            handler = self._job if found["kind"] == "jobs" else self._pod
            return handler(verb, found["name"], found["query"] or "", body)

    def close(self) -> None:
        """End all pods."""
        for process in self._pods.values():
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def _is_allowed(self, group: str, resource: str, verb: str) -> bool:
        return any(
            group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
            for rule in self._role["rules"]
        )

    def _job(self, verb: str, name: str | None, _query: str, body: Object) -> tuple[int, Object]:
        if verb == "create":
            name = body["metadata"]["name"]
            if name in self.jobs:
                return 409, _status(409, "AlreadyExists")
            self.jobs[name] = body
            self._pods[name] = self._start(body)
            return 201, body
        if name not in self.jobs:
            return 404, _status(404, f"jobs {name}")
        if verb == "delete":
            return 200, self.jobs.pop(name)
        return 200, {**self.jobs[name], "status": _job_status(self._pods.get(name))}

    def _pod(self, verb: str, name: str | None, query: str, _body: Object) -> tuple[int, Object]:
        if verb == "list":
            owner = query.replace("%3D", "=").rpartition("job-name=")[2]
            pods = [owner] if owner in self._pods else []
            return 200, {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": pod}} for pod in pods]}
        if name not in self._pods:
            return 404, _status(404, f"pods {name}")
        if verb == "delete":
            process = self._pods.pop(name)
            if process is not None:
                process.terminate()
                process.wait(_SECONDS_TO_END)
        return 200, {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"containerStatuses": []}}


@dataclass(frozen=True)
class Served:
    """The API, where it is, and the certificate by which it is known."""

    api: KubernetesApi
    port: int
    certificate: str

    def account(self) -> tuple[dict[str, str], dict[str, str]]:
        """What a pod with the account's token finds: files, and variables."""
        files = {"token": TOKEN, "ca.crt": self.certificate, "namespace": self.api.namespace}
        return files, {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def kubeconfig(self, folder: Path) -> Path:
        """A file by which a client outside reaches it, as the same account."""
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": b64encode(self.certificate.encode()).decode(),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "launcher", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "launcher"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path


@contextmanager
def serve_api(namespace: str, role: Object, folder: Path, start: Start = lambda _job: None) -> Iterator[Served]:
    """The API on loopback.

    Args:
        folder: for its key.
    """
    api = KubernetesApi(namespace, role, start)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = api.answer(self.command, self.path, self.headers.get("Authorization"), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the base class's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    certificate, key = _certificate()
    (folder / "api.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield Served(api, server.server_address[1], certificate)
    api.close()


def _certificate() -> tuple[str, str]:
    """A certificate of loopback that is its own authority, and its key; both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), key.private_bytes(*plain).decode()


def _status(code: int, message: str) -> Object:
    return {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message}


def _job_status(process: subprocess.Popen[bytes] | None) -> Mapping[str, int]:
    code = None if process is None else process.poll()
    if code is None:
        return {"active": 1}
    return {"succeeded": 1} if code == 0 else {"failed": 1}
