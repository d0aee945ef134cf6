"""Somebody who follows the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.documentation import blocks
from xeno_pipeline.database.embedded import EmbeddedServer

_PAGE_SECONDS = 400
"""For the commands of a page, each a process that imports Dagster, while other tests compete for two cores."""


class Reader:
    """Follows the pages in a clone, as a person would.

    Args:
        clone: holds at least what the pages use; a package in it is imported from there.
        port: where its sandbox listens.
    """

    def __init__(self, clone: Path, port: int) -> None:
        self.clone = clone
        self._port = port
        self.output = ""
        self.substitutes: dict[str, str] = {}
        self._background: list[subprocess.Popen[str]] = []
        ours = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "XENO_HOME": str(clone / ".xeno")}
        ours["PYTHONPATH"] = str(clone)
        self._environment = {**os.environ, **ours, "XENO_SANDBOX_PORT": str(port)}

    def follow(self, page: Path) -> None:
        """Write the files and run the commands of a page in order, each block in a shell of its own."""
        for block in blocks(page):
            if block.file is not None:
                block.write(self.clone, self.substitutes)
            elif block.info == "background":
                self._start(block.code)
            elif block.is_run:
                self.output += self.run(block.code)

    def end(self) -> None:
        """End what was started."""
        for process in self._background:
            process.terminate()
            process.wait(30)
        for home in (self.clone / ".xeno", self.clone / "restored"):
            EmbeddedServer(home).stop()

    def run(self, script: str) -> str:
        """Run commands, all of which must succeed; what they print."""
        done = subprocess.run(
            ["sh", "-euc", self._here(script)],
            cwd=self.clone,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PAGE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def _start(self, command: str) -> None:
        """Start a command that goes on, and wait until it says that it is ready."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=self.clone, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        self._background.append(process)
        assert process.stdout is not None
        assert any(line.strip() == "ready" for line in process.stdout), f"{command} ended"

    def _here(self, script: str) -> str:
        return script.replace(":8700", f":{self._port}")
