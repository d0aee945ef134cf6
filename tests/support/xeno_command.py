"""The `xeno` executable, as a person at a terminal or a script meets it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

EXECUTABLE = Path(sys.executable).with_name("xeno")


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True)
class Xeno:
    """Runs commands with settings of its own.

    Args:
        home: its XENO_HOME.
        settings: further environment variables.
    """

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, *arguments: str, stdin: str = "", before: Callable[[], None] | None = None, **settings: str
    ) -> Said:
        """Run a command to its end.

        Args:
            arguments: those of the command line.
            stdin: what is piped in.
            before: called in the new process before it becomes `xeno`, to limit it.
            settings: environment variables for this command alone.
        """
        done = subprocess.run(
            [EXECUTABLE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(**settings),
            timeout=120,
            preexec_fn=before,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def within_this_process(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> Callable[..., Said]:
        """Runs commands without a process of their own, which takes seconds to import everything."""

        def run(*arguments: str, stdin: str = "", **settings: str) -> Said:
            from xeno_pipeline.cli import app

            for name, value in {"XENO_HOME": str(self.home), **self.settings, **settings}.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(sys, "argv", ["xeno", *arguments])
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as ended:
                app.main()
            assert isinstance(ended.value.code, int)
            return Said(ended.value.code, *capfd.readouterr())

        return run

    def environment(self, **settings: str) -> dict[str, str]:
        """All variables that a command is run with."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**inherited, "XENO_HOME": str(self.home), **self.settings, **settings}
