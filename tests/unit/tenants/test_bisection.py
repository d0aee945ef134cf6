"""What fails for one tenant is found by halving those whom it fails for, and stops nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from xeno_pipeline.database.connection import DatabaseUnavailableError
from xeno_pipeline.errors import XenoError
from xeno_pipeline.tenants.bisection import Failures, SharedFailureError, bisect

TENANTS = [f"tenant-{number}" for number in range(8)]


def test_only_the_guilty_are_left_out() -> None:
    asked: list[Sequence[str]] = []

    def work(tenant_ids: Sequence[str]) -> list[str]:
        asked.append(tenant_ids)
        if "tenant-5" in tenant_ids:
            raise XenoError("tenant-5: it is broken.")
        return list(tenant_ids)

    parts, failures = bisect(TENANTS, work)

    assert [name for part in parts for name in part] == [name for name in TENANTS if name != "tenant-5"]
    assert failures.keys() == {"tenant-5"}
    assert len(asked) == 7  # all of them, and two at each of three halvings


@pytest.mark.parametrize("error", [DatabaseUnavailableError("It is away."), SharedFailureError("It cannot begin.")])
def test_what_fails_for_everybody_is_asked_once(error: XenoError) -> None:
    asked: list[Sequence[str]] = []

    def work(tenant_ids: Sequence[str]) -> None:
        asked.append(tenant_ids)
        raise error

    with pytest.raises(type(error)):
        bisect(TENANTS, work)
    assert asked == [TENANTS]


def test_reasons_are_kept_by_tenant_once_and_quote_no_values() -> None:
    failures = Failures()
    with failures.guard("acme", "its picture of revenue_daily"):
        raise ValueError("jane@example.com")
    assert failures.bisect(["acme", "globex"], "its partition", len) == [2]
    assert failures.bisect([], "nothing", len) == []
    failures.add("acme", XenoError("acme: the token was refused."))
    failures.add("acme", "acme: the token was refused.")
    assert failures.by_tenant() == {"acme": "its picture of revenue_daily failed: ValueError the token was refused."}
    assert failures.sentences() == [
        "acme: its picture of revenue_daily failed: ValueError",
        "acme: the token was refused.",
    ]


def test_an_interrupt_that_a_library_made_an_error_of_interrupts_all() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    def work(_tenant_ids: list[str]) -> None:
        try:
            interrupt()
        except BaseException:  # as a bare `except` does
            raise ValueError("it could not be read") from None

    with pytest.raises(KeyboardInterrupt):
        bisect(["acme", "globex"], work)
    with pytest.raises(KeyboardInterrupt), Failures().guard("acme", "read"):
        work(["acme"])
