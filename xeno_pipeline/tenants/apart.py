"""Steps that are done for many tenants: what fails for one fails for that one alone, and names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from xeno_pipeline.database.connection import DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.errors import XenoError

T = TypeVar("T")


class SharedFailureError(XenoError):
    """What fails for everybody alike: no tenant is to blame, and halving them finds none."""


@dataclass
class Failures:
    """With which tenants steps of a run failed, and why.

    Args:
        reasons: by tenant, sentences that begin with its handle.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def add(self, tenant_id: str, step: str, error: BaseException) -> None:
        """Note that a step failed.

        Args:
            tenant_id: with whom.
            step: what failed, as `its pictures`.
            error: why.
        """
        reason = safe_message(error).removeprefix(f"{tenant_id}: ")
        self.reasons.setdefault(tenant_id, []).append(f"{tenant_id}: {step} failed: {reason}")

    def take_over(self, others: Failures) -> None:
        """Note what others failed with, too."""
        for tenant_id, reasons in others.reasons.items():
            self.reasons.setdefault(tenant_id, []).extend(reasons)

    @contextmanager
    def guard(self, tenant_id: str, step: str) -> Iterator[None]:
        """What fails in this `with` is noted, and stops nothing else; a database that is away fails for everybody."""
        try:
            yield
        except (DatabaseUnavailableError, SharedFailureError):
            raise
        except Exception as error:  # noqa: BLE001 - it is noted, and told at the end of the run
            self.add(tenant_id, step, error)

    def apart(self, tenant_ids: Sequence[str], step: str, work: Callable[[list[str]], T]) -> list[T]:
        """Do a step for all tenants at once; where that fails, for each half of them, down to those with whom it does.

        Args:
            tenant_ids: for whom; where there are none, nothing is done.
            step: what it is, as `its pictures`.
            work: does it for some of them, wholly or not at all.

        Returns:
            What came of each part.
        """
        parts, failures = bisect(tenant_ids, work)
        for tenant_id, error in failures.items():
            self.add(tenant_id, step, error)
        return parts


def bisect(tenant_ids: Sequence[str], work: Callable[[list[str]], T]) -> tuple[list[T], dict[str, Exception]]:
    """Do something for all tenants at once; where that fails, for each half of them, down to single ones.

    Args:
        tenant_ids: for whom; where there are none, nothing is done.
        work: does it for some of them, wholly or not at all.

    Returns:
        What came of each part, and why it failed for single tenants.

    Raises:
        DatabaseUnavailableError, SharedFailureError: nobody in particular is to blame.
    """
    if not tenant_ids:
        return [], {}
    try:
        return [work(list(tenant_ids))], {}
    except (DatabaseUnavailableError, SharedFailureError):
        raise
    except Exception as error:  # noqa: BLE001 - it is handed on with the tenant it is about
        if len(tenant_ids) == 1:
            return [], {tenant_ids[0]: error}
    middle = len(tenant_ids) // 2
    (left, failed_left), (right, failed_right) = (
        bisect(half, work) for half in (tenant_ids[:middle], tenant_ids[middle:])
    )
    return left + right, failed_left | failed_right
