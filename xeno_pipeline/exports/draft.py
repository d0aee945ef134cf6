"""Files that appear whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xeno_pipeline.errors import UsageError


class FileRefusedError(UsageError):
    """A file cannot be written there."""


def check_target(path: Path, *, replace: bool) -> Path:
    """Where a file is to be written, links followed.

    Args:
        replace: whether an existing file may be replaced.

    Raises:
        FileRefusedError: its folder does not exist, something is there already, or it is no file.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise FileRefusedError(f"There is no folder {target.parent}: make it first.")
    if target.exists() and not target.is_file():
        raise FileRefusedError(f"{path} is not a file: name one, or write to standard output with `--to -`.")
    if target.exists() and not replace:
        raise FileRefusedError(f"{path} exists already: --force replaces it.")
    return target


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """An empty file beside the target, which takes its place at the end of the `with`; it is deleted where that fails.

    Raises:
        FileRefusedError: the folder cannot be written to.
    """
    draft = target.with_name(f".{target.name[:200]}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except PermissionError:
        raise FileRefusedError(f"The folder {target.parent} cannot be written to: choose another one.") from None
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        error.filename = error.filename or str(target)  # a full disk's does not say which
        raise
    finally:
        draft.unlink(missing_ok=True)
