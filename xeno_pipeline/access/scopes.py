"""What a person or a key may do in a store."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from xeno_pipeline.errors import UsageError


class Scope(StrEnum):
    """One thing that may be allowed."""

    READ = "read"
    """To read figures: the marts without what names a person."""
    PEOPLE = "people"
    """To see customers' names and addresses too."""
    SEGMENTS = "segments"
    """To save and change segments."""
    SYNC = "sync"
    """To have a store read now."""


class Role(StrEnum):
    """The scopes of a person, by a name."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    OPERATOR = "operator"

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What the role allows."""
        return _OF_ROLES[self]


_OF_ROLES = {
    Role.VIEWER: (Scope.READ,),
    Role.ANALYST: (Scope.READ, Scope.PEOPLE, Scope.SEGMENTS),
    Role.OPERATOR: tuple(Scope),
}


def check_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes of those names, each once and in their usual order; `read` is always among them.

    Raises:
        UsageError: one is unknown.
    """
    wanted = {Scope.READ, *map(_scope, names)}
    return tuple(scope for scope in Scope if scope in wanted)


def check_role(name: str) -> Role:
    """The role of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return Role(name)
    except ValueError:
        raise UsageError(f"There is no role {name!r}: a person is {', '.join(Role)}.") from None


def _scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError:
        raise UsageError(f"There is no scope {name!r}: a key may have {', '.join(Scope)}.") from None
