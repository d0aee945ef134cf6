"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but somebody should know."""
    WRONG = "wrong"
    """Something does not work, or soon will not."""


@dataclass(frozen=True)
class Diagnosis:
    """The state of one part of the installation.

    Args:
        subject: the part: `packages`, `database`, `store acme`.
        message: a sentence without secrets.
        remedy: what to do about it; empty where nothing is to be done.
    """

    subject: str
    state: State
    message: str
    remedy: str = ""


def ok(subject: str, message: str) -> Diagnosis:
    """A part that works."""
    return Diagnosis(subject, State.OK, message)


def warning(subject: str, message: str, remedy: str) -> Diagnosis:
    """A part that works, but not as one would expect."""
    return Diagnosis(subject, State.WARNING, message, remedy)


def wrong(subject: str, message: str, remedy: str) -> Diagnosis:
    """A part that does not work."""
    return Diagnosis(subject, State.WRONG, message, remedy)


def from_error(subject: str, error: Exception) -> Diagnosis:
    """An error of ours, whose text names the remedy itself."""
    return Diagnosis(subject, State.WRONG, str(error))
