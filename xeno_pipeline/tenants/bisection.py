"""Work for many tenants at once, bisected where it fails, so that one tenant's failure stays that tenant's."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from xeno_pipeline.database.connection import DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.errors import XenoError

T = TypeVar("T")


class SharedFailureError(XenoError):
    """A failure with a cause that all tenants share, so that bisecting cannot isolate it."""


@dataclass
class Failures:
    """The tenants that steps of a run failed for, and the reasons.

    Args:
        reasons: by tenant, without its name.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def add(self, tenant_id: str, error: BaseException | str, step: str | None = None) -> None:
        """Record a failure of a tenant.

        Args:
            error: an error, or its text; both may begin with the tenant's name.
            step: what failed, as in `its pictures failed: ...`, where the error does not say that.
        """
        text = error if isinstance(error, str) else safe_message(error)
        reason = text.removeprefix(f"{tenant_id}: ")
        reasons = self.reasons.setdefault(tenant_id, [])
        if (sentence := f"{step} failed: {reason}" if step else reason) not in reasons:
            reasons.append(sentence)

    def by_tenant(self) -> dict[str, str]:
        """All reasons of each tenant in one text."""
        return {tenant_id: " ".join(self.reasons[tenant_id]) for tenant_id in sorted(self.reasons)}

    def sentences(self) -> list[str]:
        """The reasons, each with its tenant's name."""
        return [
            f"{tenant_id}: {reason}" if tenant_id else reason
            for tenant_id, reasons in self.reasons.items()
            for reason in reasons
        ]

    def discard(self, tenant_ids: Iterable[str]) -> None:
        """Forget the failures of some tenants."""
        for tenant_id in tenant_ids:
            self.reasons.pop(tenant_id, None)

    def merge(self, others: Failures) -> None:
        """Add the reasons of other failures."""
        for tenant_id, reasons in others.reasons.items():
            self.reasons.setdefault(tenant_id, []).extend(reasons)

    @contextmanager
    def guard(self, tenant_id: str, step: str) -> Iterator[None]:
        """Record an exception as a failure of the tenant; a failure that all tenants share is raised."""
        try:
            yield
        except (DatabaseUnavailableError, SharedFailureError):
            raise
        except Exception as error:  # noqa: BLE001 - it is reported at the end of the run
            _raise_interrupt(error)
            self.add(tenant_id, error, step)

    def bisect(self, tenant_ids: Sequence[str], step: str, work: Callable[[list[str]], T]) -> list[T]:
        """Do a step for all tenants at once, bisecting where it fails; failures of single tenants are recorded.

        Args:
            step: see `add`.
            work: does it for some tenants, atomically.

        Returns:
            The result of each successful part.
        """
        parts, failures = bisect(tenant_ids, work)
        for tenant_id, error in failures.items():
            self.add(tenant_id, error, step)
        return parts


def bisect(tenant_ids: Sequence[str], work: Callable[[list[str]], T]) -> tuple[list[T], dict[str, Exception]]:
    """Do something for all tenants at once; where that fails, for each half of them, down to single tenants.

    Args:
        work: does it for some tenants, atomically.

    Returns:
        The result of each successful part, and the error of each tenant that it failed for.

    Raises:
        DatabaseUnavailableError, SharedFailureError: the cause is shared by all tenants.
    """
    if not tenant_ids:
        return [], {}
    try:
        return [work(list(tenant_ids))], {}
    except (DatabaseUnavailableError, SharedFailureError):
        raise
    except Exception as error:  # noqa: BLE001 - it is returned with its tenant
        _raise_interrupt(error)
        if len(tenant_ids) == 1:
            return [], {tenant_ids[0]: error}
    middle = len(tenant_ids) // 2
    (left, failed_left), (right, failed_right) = (
        bisect(half, work) for half in (tenant_ids[:middle], tenant_ids[middle:])
    )
    return left + right, failed_left | failed_right


def _raise_interrupt(error: Exception) -> None:
    """Raise the interrupt that lies behind an error, if one does: a bare `except` in a library makes errors of them."""
    behind: BaseException | None = error
    while behind is not None:
        if not isinstance(behind, Exception | GeneratorExit | CancelledError):
            raise behind
        behind = behind.__cause__ or behind.__context__
