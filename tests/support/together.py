"""Which tests share a worker: those of a file, and of directories whose tests share what takes long to make."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

_TOGETHER = (
    "tests/e2e/browser/",
    "tests/integration/access/",
    "tests/integration/dashboard/",
    "tests/integration/defs/",
    "tests/integration/exports/",
    "tests/integration/insights/",
    "tests/integration/isolation/",
    "tests/integration/moving/",
    "tests/integration/shopify/",
)
"""Directories with fixtures of their session or package that cost more than an uneven end of the workers."""


class LoadDirectoryScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """`--dist loadfile`, for which each of these directories is one file."""

    def _split_scope(self, nodeid: str) -> str:
        together = (directory for directory in _TOGETHER if nodeid.startswith(directory))
        return next(together, super()._split_scope(nodeid))
