"""A test that holds servers until it is interrupted; named by path only, see `tests/e2e/test_interruption.py`."""

from __future__ import annotations

import os
import time
from pathlib import Path

from shopify_sandbox.process import SandboxProcess
from xeno_pipeline.database.embedded import EmbeddedServer


def test_that_holds_servers(server: EmbeddedServer, sandbox: SandboxProcess) -> None:
    Path(os.environ["READY"]).touch()
    time.sleep(600)
