"""The services of `docker-compose.yml` as plain processes: what each runs, with the environment that it would have.

A container's places and ports become this machine's: the image is a folder with what the `Dockerfile` copies into it,
a volume is a folder, a host name is loopback, and a published port is a free one.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml  # type: ignore[import-untyped]

from tests.support.loopback import free_port
from xeno_pipeline.settings import PROJECT_DIR

COMPOSE_FILE = PROJECT_DIR / "docker-compose.yml"
DOCKERFILE = PROJECT_DIR / "Dockerfile"

_INNER_PORTS = (3000, 4000, 8710, 8720, 9710, 9720)
_SECONDS_TO_RUN = 400.0
"""To parse the dbt project takes a tenth of that, but on a machine that runs all tests at once."""
_SECONDS_TO_END = 90.0
"""A code server waits up to a minute for calls that it is answering."""


class Containers:
    """All services but the database; a context manager that ends what was started.

    Args:
        folder: where the image, the volume and the secrets are to lie.
        postgres_port: where the database listens on loopback.
        secrets: by their names in the compose file.
    """

    def __init__(self, folder: Path, postgres_port: int, secrets: Mapping[str, str]) -> None:
        self._folder = folder
        self._secrets = secrets
        self._ports = {inner: free_port() for inner in _INNER_PORTS}
        self._places = {
            "/opt/xeno": str(folder / "image"),
            "/var/lib/xeno": str(folder / "home"),
            "0.0.0.0": "127.0.0.1",
            "@postgres:5432": f"@127.0.0.1:{postgres_port}",
            "host: code": "host: 127.0.0.1",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @cached_property
    def services(self) -> dict[str, dict[str, Any]]:
        """The services by name, as the compose file describes them."""
        services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
        return services

    def url(self, inner_port: int) -> str:
        """Where a service listens that listens at that port of its container."""
        return f"http://127.0.0.1:{self._ports[inner_port]}"

    def build(self) -> None:
        """Make the image: what is copied, and what is run that is not an installation."""
        image = self._folder / "image"
        environment: dict[str, str] = {}
        for instruction, arguments in _instructions(DOCKERFILE):
            if instruction == "COPY" and "--from=build" not in arguments:
                *sources, target = arguments
                for source in sources:
                    _copy(PROJECT_DIR / source, image / target)
            elif instruction == "ARG":
                environment |= dict([self._here(arguments[0]).split("=", 1)])
            elif instruction == "RUN" and arguments[:2] == ["python", "-m"] and arguments[2] != "venv":
                self._run(arguments, {"PYTHONPATH": str(image), "PATH": _path(), **environment})
        workspace = image / "deploy/workspace.yaml"
        workspace.write_text(self._here(workspace.read_text()))

    def run(self, service: str, *command: str, stdin: str = "") -> str:
        """Run a command to its end as `docker compose run` does; without one, the service's own. Returns its output."""
        arguments = list(command) or self.services[service]["command"]
        return self._run(arguments, self.environment(service), stdin)

    def start(self, *services: str) -> None:
        """Start services."""
        for service in services:
            command = [self._here(argument) for argument in self.services[service]["command"]]
            with self.log(service).open("wb") as log:
                self._running[service] = subprocess.Popen(
                    command, cwd=self._folder / "image", env=self.environment(service), stdout=log, stderr=log
                )

    def await_health(self, service: str, seconds: float) -> None:
        """Wait until the service's health check passes."""
        kind, *command = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + seconds
        while True:
            assert self._running[service].poll() is None, f"{service} ended: {self.log(service).read_text()[-2000:]}"
            try:
                self._run(command, self.environment(service))
            except AssertionError:
                assert time.monotonic() < deadline, f"{service} is not well: {self.log(service).read_text()[-2000:]}"
                time.sleep(0.5)
            else:
                return

    def environment(self, service: str) -> dict[str, str]:
        """All that the service's processes have in their environment, and the secrets that it is given as files."""
        secrets = self._folder / "secrets" / service
        secrets.mkdir(parents=True, exist_ok=True)
        for name in self.services[service].get("secrets", ()):
            (secrets / name).write_text(self._secrets[name] + "\n")
        given = {name: _interpolated(str(value)) for name, value in self.services[service]["environment"].items()}
        ours = {"PATH": _path(), "PYTHONPATH": str(self._folder / "image"), "XENO_SECRETS_DIR": str(secrets)}
        return {name: self._here(value) for name, value in given.items()} | ours

    def log(self, service: str) -> Path:
        """What the service has written."""
        return self._folder / f"{service}.log"

    def stop(self) -> dict[str, int]:
        """Tell all services to end, as `docker compose stop` does. Returns their exit codes."""
        for process in self._running.values():
            process.terminate()
        codes = {service: process.wait(_SECONDS_TO_END) for service, process in self._running.items()}
        self._running.clear()
        return codes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def _run(self, command: list[str], environment: Mapping[str, str], stdin: str = "") -> str:
        done = subprocess.run(
            [self._here(argument) for argument in command],
            cwd=self._folder / "image",
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_RUN,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def _here(self, text: str) -> str:
        """A container's places and ports as this machine's."""
        for place, ours in self._places.items():
            text = text.replace(place, ours)
        for inner, port in self._ports.items():
            text = re.sub(rf"\b{inner}\b", str(port), text)
        return text


def _instructions(dockerfile: Path) -> list[tuple[str, list[str]]]:
    lines = re.sub(r"\\\n", " ", dockerfile.read_text()).splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [(line[0], line[1:]) for line in words if line]


def _copy(source: Path, target: Path) -> None:
    """What COPY does: a folder's content becomes the target's, a file comes to lie in it."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _interpolated(value: str) -> str:
    """What compose makes of `${NAME:-default}` where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _path() -> str:
    return f"{Path(sys.executable).parent}:{os.defpath}"
