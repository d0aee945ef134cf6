"""What a command of `xeno` imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping


def imported_by(*arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The top-level packages that a command imports, run to its end in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "xeno_pipeline.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    packages = {name.partition(".")[0] for name in names}
    assert "xeno_pipeline" in packages
    return packages
