"""What the terminal shows: progress bars (plain lines in a pipe), and tables."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from xeno_pipeline.database.roles import Address, BiRole
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction import report as syncing
from xeno_pipeline.extraction.reconciliation_results import Reconciliation
from xeno_pipeline.extraction.report import StreamFailure, StreamReport, StreamResult
from xeno_pipeline.extraction.state import SyncState
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, State
from xeno_pipeline.raw.set_aside import SetAside
from xeno_pipeline.tenants.apart import Failures
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.subscriptions import Registration
from xeno_pipeline.tenants.usage import Usage

if TYPE_CHECKING:
    from xeno_pipeline.marts.transform import TransformReport  # it brings dbt, which takes a second to import

_WIDTH_OF_A_PIPE = 160
_MOST_SET_ASIDE = 20

out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_SECONDS_BETWEEN_LINES = 5.0


def say(text: str) -> None:
    """Print a line, however long."""
    out.print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning, loudly."""
    err.print(f"WARNING  {text}", style="bold yellow", markup=False)


def complain(text: str) -> None:
    """Print what went wrong."""
    err.print(text, style="bold red", markup=False)


class Board:
    """Shows how far syncs and transforms are; fed from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, tuple[str, float]] = {}

    @contextmanager
    def shown(self) -> Iterator[Board]:
        """Show the board for the length of a `with`."""
        if not err.is_terminal:
            yield self
            return
        with self._bars:
            yield self

    def on_progress(self, progress: syncing.Progress) -> None:
        """Take in how far the sync of a stream is."""
        who = f"{progress.tenant_id} {progress.stream}"
        self._show(who, progress.phase, progress.done, progress.total)

    def on_node(self, name: str, done: int, total: int) -> None:
        """Take in how far dbt is."""
        self._show("marts", f"made {name}", done, total)

    def _show(self, who: str, what: str, done: int, total: int | None) -> None:
        with self._lock:
            if err.is_terminal:
                self._show_bar(who, what, done, total)
            else:
                self._show_line(who, what, done, total)

    def _show_bar(self, who: str, what: str, done: int, total: int | None) -> None:
        if who not in self._tasks:
            self._tasks[who] = self._bars.add_task(who, total=total)
        self._bars.update(self._tasks[who], description=f"{who}: {what}", completed=done, total=total)

    def _show_line(self, who: str, what: str, done: int, total: int | None) -> None:
        """A line when something else begins, and now and then while it lasts."""
        phase, told_at = self._lines.get(who, ("", 0.0))
        now = time.monotonic()
        if (who != "marts" and what != phase) or now - told_at >= _SECONDS_BETWEEN_LINES:
            self._lines[who] = (what, now)
            of = f" of {total:,}" if total is not None else ""
            err.print(f"{who}: {what} {done:,}{of}", markup=False)


def show_sync(results: Sequence[StreamResult]) -> None:
    """Print what a sync did, its notes, and last its failures."""
    reports = [result for result in results if isinstance(result, StreamReport)]
    if reports:
        table = _table("tenant", "stream", "read by", "rows read", "new", "changed", "gone", "points", "seconds")
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
            complain(f"{failure.tenant_id}: the sync of {failure.stream} failed. {safe_message(failure.error)}")


def show_transform(report: TransformReport) -> None:
    """Print what a transform did, and last its failures."""
    if report.tenant_ids:
        who = ", ".join(report.tenant_ids) if len(report.tenant_ids) <= 5 else f"{len(report.tenant_ids)} tenants"
        say(f"The marts of {who} are up to date ({report.seconds:.1f} s).")
    elif not report.failures and not report.failed_tests:
        say("All marts were up to date already.")
    for error in report.failures.values():
        complain(f"{str(error).rstrip('.')}. Its marts are stale until they can be made.")
    for test in report.failed_tests:
        for tenant_id, message in test.tenants.items():
            whose = f"{tenant_id}: the" if tenant_id else "The"
            complain(f"{whose} test {test.name} did not pass: {message}")


def show_skipped(asked: Sequence[str], tenant_ids: Collection[str]) -> None:
    """Print which tenants a run has left out, since they were suspended or removed when it began."""
    for tenant_id in asked:
        if tenant_id not in tenant_ids:
            warn(f"{tenant_id} is no active tenant any more: skipped.")


def show_reasons(*failures: Failures) -> bool:
    """Print with whom other steps of a run failed, and why; whether there was anybody."""
    for each in failures:
        for reasons in each.reasons.values():
            for reason in reasons:
                complain(reason)
    return any(failures)


def has_failed(results: Sequence[StreamResult]) -> bool:
    """Whether some stream could not be read."""
    return any(isinstance(result, StreamFailure) for result in results)


def show_tenants(tenants: Iterable[Tenant], used: Mapping[str, Usage] | None = None) -> None:
    """Print the tenants as a table, with the API points that they used where that is told."""
    facts = ("tenant", "shop", "currency", "time zone", "plan", "status", "sees all orders")
    table = _table(*facts, *(("points today", "this month", "limit") if used else ()))
    for tenant in tenants:
        sees = "yes" if tenant.sees_all_orders else "only 60 days"
        shown = [tenant.tenant_id, tenant.name, tenant.currency, tenant.iana_timezone, tenant.plan, tenant.status, sees]
        table.add_row(*shown, *(_points(used[tenant.tenant_id]) if used else ()))
    out.print(table)


def _points(usage: Usage) -> tuple[str, str, str]:
    limit = "none" if usage.monthly_limit is None else f"{usage.monthly_limit:,}"
    return f"{usage.today:,.0f}", f"{usage.month:,.0f}", limit


def show_reconciliations(found: Sequence[Reconciliation]) -> None:
    """Print what the last reconciliations found, as far as there were any."""
    if not found:
        return
    table = _table("tenant", "stream", "reconciled", "at Shopify", "in raw", "read again", "gone", "refreshed")
    for last in found:
        counts = [last.at_shopify, last.in_raw, last.read_again, last.deleted, last.refreshed]
        shown = ["?" if count is None else f"{count:,}" for count in counts]
        table.add_row(last.tenant_id, last.stream, f"{last.started_at:%Y-%m-%d %H:%M %Z}", *shown)
    out.print(table)


def show_tenant(tenant: Tenant, states: Mapping[str, SyncState], used: Mapping[str, Usage]) -> None:
    """Print one tenant, and how far each of its streams was read."""
    show_tenants([tenant], used)
    say(f"domain {tenant.shop_domain}, API {tenant.api_url}, {tenant.shop_gid}")
    say(f"access scopes: {', '.join(tenant.access_scopes)}")
    table = _table("stream", "history read", "changes read up to", "last sync")
    for name, state in states.items():
        instants = (state.history_loaded_at, state.cursor_at, state.synced_at)
        table.add_row(name, *(f"{i:%Y-%m-%d %H:%M:%S %Z}" if i else "never" for i in instants))
    out.print(table)


def show_absent(tenant_id: str, counts: Mapping[tuple[str, str], int]) -> None:
    """Print how many of a tenant's webhooks were about what Shopify does not show, and what can be done."""
    for (stream, absence), count in counts.items():
        what = f"{count:,} webhook{'s' * (count != 1)} of {stream}"
        if absence == "not visible":
            say(
                f"{what} named what the token cannot see, being older than 60 days. Once it has the access scope "
                f"read_all_orders, `xeno sync {tenant_id} --stream {stream} --full` reads it."
            )
        else:
            say(f"{what} named what Shopify did not show for hours, so it was deleted.")


def show_set_aside(found: Sequence[SetAside]) -> None:
    """Print what of a tenant does not fit, the longest first, as far as there is any."""
    if not found:
        return
    shown = found[:_MOST_SET_ASIDE]
    of = f"the first {len(shown)} of {len(found):,}" if len(shown) < len(found) else f"{len(found)}"
    warn(f"Set aside, since they do not fit ({of}); each is read again when it changes at Shopify:")
    table = _table("set aside", "of", "since", "reason")
    for aside in shown:
        since = f"{aside.first_seen_at:%Y-%m-%d %H:%M %Z}"
        table.add_row(Text(aside.name), aside.object, since, Text(aside.reason))
    out.print(table)


def show_registrations(registrations: Iterable[Registration]) -> None:
    """Print what became of tenants' webhook subscriptions as a table, and why some are missing."""
    table = _table("tenant", "created", "updated", "deleted", "missing", "of others")
    problems: list[str] = []
    for done in registrations:
        counts = (done.created, done.updated, done.deleted)
        missing = ", ".join(done.missing) or ("unknown" if done.error else "none")
        table.add_row(done.tenant_id, *(str(len(topics)) for topics in counts), missing, ", ".join(done.foreign))
        problems += [done.error] if done.error else []
    out.print(table)
    for problem in problems:
        warn(problem)


def show_bi_role(role: BiRole, address: Address | None, wanted_port: int | None) -> None:
    """Print how a BI tool connects with its role; the password is seen this once.

    Args:
        role: its role.
        address: where roles with a password connect; None where they cannot.
        wanted_port: the TCP port that an embedded server is to have by the settings.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    if address is not None:
        table.add_row("host", address.host)
        table.add_row("port", str(address.port))
        table.add_row("database", address.database)
    table.add_row("user", role.name)
    table.add_row("password", f"{role.password}  (shown this once)")
    out.print(table)
    if address is not None:
        say(f"psql {address.url(role.name)}")
        say(address.url(role.name, role.password))
    if address is None and wanted_port is None:
        warn(
            "The embedded database listens on its owner's socket alone, where no other role may connect: set "
            "XENO_POSTGRES_PORT (5433, say) and run `xeno db stop`; the next command starts it with that port."
        )
    elif wanted_port is not None and (address is None or address.port != wanted_port):
        warn(
            f"The embedded database was started before XENO_POSTGRES_PORT={wanted_port} was set, and does not listen "
            "there yet: run `xeno db stop`; the next command starts it with that port."
        )


def show_diagnoses(diagnoses: Sequence[Diagnosis]) -> None:
    """Print what `xeno doctor` found, each problem with its remedy."""
    styles = {State.OK: "green", State.WARNING: "bold yellow", State.WRONG: "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for diagnosis in diagnoses:
        text = " ".join(part for part in (diagnosis.message, diagnosis.remedy) if part)
        table.add_row(Text(diagnosis.state, styles[diagnosis.state]), Text(diagnosis.subject), Text(text))
    out.print(table)


def _table(*headers: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    words = {
        "set aside",
        "of",
        "reason",
        "tenant",
        "stream",
        "read by",
        "shop",
        "currency",
        "time zone",
        "plan",
        "status",
        "sees all orders",
    }
    for header in headers:
        table.add_column(header, justify="left" if header in words else "right", no_wrap=not sys.stdout.isatty())
    return table
