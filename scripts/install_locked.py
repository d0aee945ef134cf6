"""Install the locked dependencies and both packages (editable) into the environment of this interpreter.

A lock is resolved already, so pip would spend most of its time on resolving it once more. uv, which pip brings, takes a
tenth of that. uv is given the configuration of pip, which it does not read by itself; where it cannot install from
there, pip does. Either way every file must have a hash of the lock.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT_DIR = Path(__file__).parents[1]
LOCK = PROJECT_DIR / "requirements.lock"
LOCKED = ["--no-deps", "--require-hashes", "--requirement", str(LOCK)]
EDITABLE = ["--no-deps", "--no-build-isolation", "--editable", ".", "--editable", "./shopify_sandbox"]
PIP = [sys.executable, "-m", "pip"]


def main() -> None:
    if not (_install_uv() and _uv(*LOCKED, "--compile-bytecode")):
        _run(*PIP, "install", "--quiet", *LOCKED)
    if not _uv(*EDITABLE):
        _run(*PIP, "install", "--quiet", *EDITABLE)


def _install_uv() -> bool:
    pinned = re.search(r"^uv==(?:.*\\\n)*.*", LOCK.read_text(), re.MULTILINE)
    assert pinned is not None, f"{LOCK} does not pin uv"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirement:
        requirement.write(pinned.group() + "\n")
        requirement.flush()
        return _succeeds(*PIP, "install", "--quiet", "--no-deps", "--require-hashes", "-r", requirement.name)


def _uv(*arguments: str) -> bool:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        return False
    configured = _pip_configuration()
    options: list[str] = []
    for name, option in (("index-url", "--default-index"), ("find-links", "--find-links")):
        options += [part for value in configured.get(name, []) for part in (option, value)]
    options += [part for value in configured.get("extra-index-url", []) for part in ("--index", value)]
    if "no-index" in configured:
        options.append("--no-index")
    if "extra-index-url" in configured:
        options += ["--index-strategy", "unsafe-best-match"]  # as pip does; what is taken has the lock's hash
    environment = dict(os.environ)
    for value in configured.get("cert", []):
        environment.setdefault("SSL_CERT_FILE", value)
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, *options, *arguments]
    return _succeeds(*command, environment=environment)


def _pip_configuration() -> dict[str, list[str]]:
    """Pip's options from its files and variables, by name; for each name those of the last source."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        match = re.fullmatch(r"(?:global|install|:env:)\.([\w-]+)='(.*)'", line)
        if match:
            found[match[1]] = match[2].replace("\\n", " ").split()
    return found


def _succeeds(*command: str, environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False)
    return done.returncode == 0


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=PROJECT_DIR, check=False).returncode:
        sys.exit(1)


if __name__ == "__main__":
    main()
