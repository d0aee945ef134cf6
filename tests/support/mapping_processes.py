"""The processes that map results for this one (see `raw.mapping_process`)."""

from __future__ import annotations

import psutil

from xeno_pipeline.raw import mapping_process


def mapping_processes() -> list[psutil.Process]:
    """Those that live."""
    return [child for child in psutil.Process().children() if mapping_process.__name__ in child.cmdline()]
