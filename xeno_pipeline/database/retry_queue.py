"""Retry queues in tables: rows with `attempts` and `due_at`, of which a failed one is retried after a pause."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """The pauses of a retry queue: the first one, doubled after each further attempt, up to the longest one."""

    first_seconds: int
    longest_seconds: int

    @property
    def assignments(self) -> str:
        """The assignments of an `update` that counts a failed attempt and sets when the next one is due."""
        return (
            "attempts = attempts + 1, "
            f"due_at = ops.next_attempt(attempts, {self.first_seconds}, {self.longest_seconds})"
        )
