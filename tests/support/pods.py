"""Pods of the chart as processes of this machine, each in a root of its own.

What a container runs has exactly its environment, its mounts at their paths, a root that is read-only, its user and no
capability. The root is this machine's with the image in it, so it takes a root user who may make mount namespaces.
Ports become free ones of this machine, host names loopback.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

USER = 10001
SERVICE_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
"""As a client knows it, below /var/run; that is a link, which leads out of a root that is not entered yet."""

_ROOT = """
mount -t tmpfs tmpfs "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root"
chmod a+x root
for system in dev proc sys; do mount --rbind "/$system" "$system"; done
"""
_ENTER = """
mount -o remount,ro "$WORK/root"
exec {chroot} "$WORK/root" sh -c 'cd /opt/xeno && exec setpriv --reuid={user} --regid={user} --clear-groups \
--bounding-set=-all --no-new-privs "$@"' sh "$@"
"""


@cache
def can_have_roots() -> bool:
    """Whether this machine and its user allow what pods need here."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        return False
    script = f'WORK=$(mktemp -d); {_ROOT} mount -o remount,ro "$WORK/root"'
    return subprocess.run(["unshare", "--mount", "sh", "-ec", script], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Cluster:
    """What all pods have in common.

    Args:
        folder: for their volumes and logs.
        image: the folder that `tests.support.containers` builds.
        config_maps: their data by their names.
        secret: the Secret's values by its keys.
        ports: free ports by those of the containers.
        hosts: names that lead here.
        account: the files of a pod's service account, and the variables by which it finds the API.
    """

    folder: Path
    image: Path
    config_maps: Mapping[str, Mapping[str, str]]
    secret: Mapping[str, str]
    ports: Mapping[int, int]
    hosts: tuple[str, ...]
    account: tuple[Mapping[str, str], Mapping[str, str]]

    def here(self, text: str) -> str:
        """A text with this machine's ports."""
        ports = "|".join(map(str, self.ports))
        text = re.sub(rf"\b({ports})\b", lambda found: str(self.ports[int(found[1])]), text)
        return text.replace("0.0.0.0", "127.0.0.1")


class Pod:
    """One pod of one container.

    Args:
        name: unique in the cluster.
        specification: of the pod, as in a manifest.
    """

    def __init__(self, cluster: Cluster, name: str, specification: Mapping[str, Any]) -> None:
        (self.container,) = specification["containers"]
        self._cluster = cluster
        self.log = cluster.folder / f"{name}.log"
        self._work = cluster.folder / "roots" / name
        self._work.mkdir(parents=True)
        self._has_account = specification.get("automountServiceAccountToken", True)
        volumes = {volume["name"]: volume for volume in specification["volumes"]}
        self._mounts: list[tuple[Path, str]] = [(cluster.image, "/opt/xeno")]
        for mount in self.container["volumeMounts"]:
            if "subPath" not in mount:
                self._mounts.append((self._volume(name, volumes[mount["name"]]), mount["mountPath"]))
        for mount in self.container["volumeMounts"]:
            if "subPath" in mount:
                (folder,) = (at for at, path in self._mounts if path == str(Path(mount["mountPath"]).parent))
                text = cluster.config_maps[volumes[mount["name"]]["configMap"]["name"]][mount["subPath"]]
                (folder / mount["subPath"]).write_text(cluster.here(text))
        if self._has_account:
            self._mounts.append((self._files(name, "account", cluster.account[0]), SERVICE_ACCOUNT))
        # Python itself, where it lies below what a volume hides.
        self._mounts += [(Path(kept), kept) for kept in {sys.prefix, sys.base_prefix} if kept.startswith("/tmp/")]

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start the container's own command, or another one in it; its output goes to the log."""
        arguments = [self._cluster.here(argument) for argument in (command or self.container["args"])]
        lines = [_ROOT]
        for source, target in self._mounts:
            inside = shlex.quote(target.lstrip("/"))
            lines.append(f"mkdir -p {inside}; mount --bind {shlex.quote(str(source))} {inside}")
        lines.append(f"echo 127.0.0.1 localhost {' '.join(self._cluster.hosts)} > etc/hosts")
        script = "\n".join([*lines, _ENTER.format(user=USER, chroot=shutil.which("chroot"))])
        with self.log.open("ab") as log:
            return subprocess.Popen(
                ["unshare", "--mount", "sh", "-ec", script, "sh", *arguments],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, *command: str, seconds: float) -> str:
        """Run a command in the container to its end; returns what was written there in this time."""
        before = self.log.stat().st_size if self.log.exists() else 0
        code = self.start(*command).wait(seconds)
        with self.log.open("rb") as log:
            log.seek(before)
            written = log.read().decode()
        assert code == 0, f"{command or self.container['args']}: {written[-3000:]}"
        return written

    def _environment(self) -> dict[str, str]:
        image = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "PYTHONPATH": "/opt/xeno", "HOME": "/home/xeno"}
        account = self._cluster.account[1] if self._has_account else {}
        given = {each["name"]: self._cluster.here(each["value"]) for each in self.container["env"]}
        return {**image, **account, **given, "WORK": str(self._work), "PYTHONDONTWRITEBYTECODE": "1"}

    def _volume(self, pod: str, volume: Mapping[str, Any]) -> Path:
        files: dict[str, str] = {}
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source["secret"]["items"]:
                if item["key"] in self._cluster.secret:
                    files[item["path"]] = self._cluster.secret[item["key"]]
                else:
                    assert source["secret"].get("optional"), f"the Secret has no {item['key']}"
        return self._files(pod, volume["name"], files)

    def _files(self, pod: str, name: str, files: Mapping[str, str]) -> Path:
        folder = self._cluster.folder / "volumes" / pod / name
        folder.mkdir(parents=True)
        os.chown(folder, USER, USER)
        for file, content in files.items():
            (folder / file).write_text(content)
            os.chown(folder / file, 0, USER)
            (folder / file).chmod(0o440)
        return folder
