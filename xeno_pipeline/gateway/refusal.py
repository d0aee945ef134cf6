"""Rejected requests."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - a response, not an error of ours
    """A rejected request.

    Args:
        status: the HTTP status.
        outcome: its name in the log and in the metrics.
        text: the body of the response.
    """

    def __init__(self, status: int, outcome: str, text: str) -> None:
        super().__init__(text)
        self.status, self.outcome = status, outcome
