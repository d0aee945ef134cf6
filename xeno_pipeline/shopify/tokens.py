"""Where a client's access token comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class TokenSource(Protocol):
    """Gives a client its access token, which may change while the client works. Several threads may call it."""

    def current(self) -> str:
        """The token to send now."""

    def replace_rejected(self, rejected: str) -> str | None:
        """Another token than the one that the store rejected; None where there is no other."""


@dataclass(frozen=True)
class FixedToken:
    """A token that never changes."""

    token: str = field(repr=False)

    def current(self) -> str:
        """The token."""
        return self.token

    def replace_rejected(self, rejected: str) -> None:
        """None: there is no other."""
