"""What a run did, and what failed in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from xeno_pipeline.cli.terminal import echo, make_table, out, print_error, warn
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.tenants.bisection import Failures

if TYPE_CHECKING:
    from xeno_pipeline.marts.transform import TransformReport  # it brings dbt, which takes a second to import


def show_sync(results: Sequence[StreamResult]) -> None:
    """Print what a sync did, its notes, and last its failures."""
    reports = [result for result in results if isinstance(result, StreamReport)]
    if reports:
        table = make_table("tenant", "stream", "read by", "rows read", "new", "changed", "deleted", "points", "seconds")
        for report in reports:
            counts = report.tables.values()
            numbers = (
                report.rows_read,
                sum(count.inserted for count in counts),
                sum(count.updated for count in counts),
                sum(count.deleted for count in counts),
                round(report.points),
            )
            shown = [f"{number:,}" for number in numbers]
            table.add_row(report.tenant_id, report.stream, report.mode, *shown, f"{report.seconds:.1f}")
        out.print(table)
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        warn(note)
    show_failures(results)


def show_failures(results: Sequence[StreamResult]) -> None:
    """Print why streams could not be read."""
    for failure in results:
        if isinstance(failure, StreamFailure):
            print_error(f"{failure.tenant_id}: the sync of {failure.stream} failed. {safe_message(failure.error)}")


def show_transform(report: TransformReport) -> None:
    """Print what a transform did, and last its failures."""
    if report.tenant_ids:
        who = ", ".join(report.tenant_ids) if len(report.tenant_ids) <= 5 else f"{len(report.tenant_ids)} tenants"
        echo(f"The marts of {who} are up to date ({report.seconds:.1f} s).")
    elif not report.failures and not report.failed_tests:
        echo("All marts were up to date already.")
    for error in report.failures.values():
        print_error(f"{str(error).rstrip('.')}. Its marts are stale until they can be made.")
    for test in report.failed_tests:
        for tenant_id, message in test.tenants.items():
            prefix = f"{tenant_id}: the" if tenant_id else "The"
            print_error(f"{prefix} test {test.name} did not pass: {message}")


def show_skipped(asked: Sequence[str], tenant_ids: Collection[str]) -> None:
    """Print which tenants a run has left out, since they were suspended or removed when it began."""
    for tenant_id in asked:
        if tenant_id not in tenant_ids:
            warn(f"{tenant_id} is no active tenant any more: skipped.")


def show_reasons(*failures: Failures) -> bool:
    """Print with whom other steps of a run failed, and why; whether there was anybody."""
    for each in failures:
        for sentence in each.sentences():
            print_error(sentence)
    return any(failures)


def has_failed(results: Sequence[StreamResult]) -> bool:
    """Whether some stream could not be read."""
    return any(isinstance(result, StreamFailure) for result in results)
