"""Requests that are not followed."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that is not followed, with the status and the words that say so.

    Args:
        status: the HTTP status.
        outcome: what the log and the figures call it.
        text: what whoever asked is told.
    """

    def __init__(self, status: int, outcome: str, text: str) -> None:
        super().__init__(text)
        self.status, self.outcome = status, outcome
