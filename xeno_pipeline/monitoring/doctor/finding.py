"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know."""
    WRONG = "wrong"
    """Something does not work, or soon will not."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Args:
        subject: the thing: `packages`, `database`, `store acme`.
        state: how bad it is.
        told: what was found, in a sentence without a secret in it.
        remedy: what to do about it; empty where nothing is to be done.
    """

    subject: str
    state: State
    told: str
    remedy: str = ""


def ok(subject: str, told: str) -> Finding:
    """A thing that is as it should be."""
    return Finding(subject, State.OK, told)


def warning(subject: str, told: str, remedy: str) -> Finding:
    """A thing that works, but not as one would think."""
    return Finding(subject, State.WARNING, told, remedy)


def wrong(subject: str, told: str, remedy: str) -> Finding:
    """A thing that does not work."""
    return Finding(subject, State.WRONG, told, remedy)


def from_error(subject: str, error: Exception) -> Finding:
    """What an error of ours says: its text names the remedy itself."""
    return Finding(subject, State.WRONG, str(error))
