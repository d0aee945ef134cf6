"""What can be wrong with a segment."""

from __future__ import annotations

from xeno_pipeline.errors import UsageError


class SegmentQueryError(UsageError):
    """A query that cannot be understood, or that asks for what is not served.

    Args:
        text: what is wrong, in a sentence or two.
        position: where, as a 0-based index into the query.
        suggestion: what could stand there instead; None where nothing comes near.
    """

    def __init__(self, text: str, position: int, suggestion: str | None = None) -> None:
        super().__init__(text)
        self.position = position
        self.suggestion = suggestion

    def pointed_at(self, query: str) -> str:
        """The line of the query that is wrong, and below it a caret at the place."""
        begin = query.rfind("\n", 0, self.position) + 1
        line = query[begin:].split("\n", 1)[0]
        before = "".join(character if character == "\t" else " " for character in line[: self.position - begin])
        return f"{line}\n{before}^"


class SegmentError(UsageError):
    """A segment that is not there, or cannot be saved."""
