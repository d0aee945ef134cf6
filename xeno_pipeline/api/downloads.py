"""Downloads of the API: one too many is a problem that says when to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from xeno_pipeline.api.problems import Kind, ProblemError
from xeno_pipeline.web import downloads


@contextmanager
def one_download() -> Iterator[None]:
    """One of the few downloads that the process has under way.

    Raises:
        ProblemError: there are as many as there may be.
    """
    with ExitStack() as held:
        try:
            held.enter_context(downloads.one_download())
        except downloads.TooManyDownloadsError as error:
            raise ProblemError(Kind.TOO_MANY, str(error), headers={"Retry-After": "10"}) from error
        yield
