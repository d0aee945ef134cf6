"""The sensor that raises and delivers alerts about findings of checks and failed runs. It needs no run for that."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import orjson
import psycopg

from xeno_pipeline.database.connection import Connection, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.dagster_internals import ASSET_JOB, step_failure_metadata
from xeno_pipeline.defs.failures import FAILED_TENANTS
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, PRIVACY_JOB, RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.run_requests import tenants_of_run
from xeno_pipeline.monitoring import alerts
from xeno_pipeline.monitoring.channels import channels
from xeno_pipeline.monitoring.checks import ALERT_CHECKS, Check, Finding, evaluate

RUN = "run"
"""The kind of an alert about a run."""

ALERTING = "alerting"
"""The kind of an alert about alerts that could not be raised."""

_SECONDS_BETWEEN_TICKS = 30
_SECONDS_BETWEEN_CHECKS = 300.0

_OVERLAP = timedelta(minutes=1)
"""A run's end may be stored by a machine whose clock is slow. A run that is read twice changes nothing."""

_RUNS_A_TICK = 500

_RETRIED_JOBS = {EVENTS_JOB, PRIVACY_JOB}
"""These jobs retry within seconds what failed. Checks find what keeps failing."""

_COMMANDS = {SYNC_JOB: "xeno sync", RECONCILE_JOB: "xeno reconcile", TRANSFORM_JOB: "xeno transform"}


@dataclass(frozen=True)
class Cursor:
    """How far the sensor has read.

    Args:
        runs_until: runs that ended by then have been read; ISO 8601.
        checked_at: when the checks were last evaluated, in seconds since 1970.
    """

    runs_until: str
    checked_at: float = 0.0


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records findings of checks and failed runs, and sends alerts by e-mail or webhook about them and when "
    "they recover.",
)
def alerts_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """Read the runs that ended, evaluate the checks when it is time, and deliver messages."""
    opened = pipeline.open()
    targets = channels(opened.settings)
    now = datetime.now(UTC)
    cursor = Cursor(**orjson.loads(context.cursor)) if context.cursor else Cursor(now.isoformat())
    ended = ended_runs(context.instance, datetime.fromisoformat(cursor.runs_until) - _OVERLAP)
    is_time_to_check = now.timestamp() >= cursor.checked_at + _SECONDS_BETWEEN_CHECKS
    tick = _Tick(opened, context, now)
    for record in ended:
        tick.do(f"reading run {record.dagster_run.run_id[:8]}", partial(tick.read_run, record))
    if is_time_to_check:
        tick.evaluate_checks()
    if targets:
        tick.do("writing messages", partial(alerts.queue_messages, channels=targets))
    else:
        tick.do("forgetting what nobody is told of", alerts.forget_resolved)
    delivered = alerts.deliver(opened.database, targets)
    return dg.SensorResult(
        skip_reason=_skip_reason(delivered, is_sent=bool(targets)),
        cursor=_next_cursor(cursor, ended, now if is_time_to_check else None),
    )


def _skip_reason(delivered: int, *, is_sent: bool) -> str:
    if not is_sent:
        return (
            "No alert channel is configured: problems are recorded (`xeno alerts list`, the dashboard), and nobody is "
            "told. Set XENO_ALERT_EMAIL_TO or XENO_ALERT_WEBHOOK_URL to receive alerts."
        )
    return f"{delivered} message{'s' * (delivered != 1)} delivered." if delivered else "Nothing to report."


def _next_cursor(cursor: Cursor, ended: Sequence[dg.RunRecord], checked_at: datetime | None) -> str:
    # Where there were too many runs for one tick, those not read yet ended after those that were.
    until = max((record.update_timestamp for record in ended), default=None)
    moved = Cursor(
        until.replace(tzinfo=until.tzinfo or UTC).isoformat() if until else cursor.runs_until,
        checked_at.timestamp() if checked_at else cursor.checked_at,
    )
    return orjson.dumps(asdict(moved)).decode()


@dataclass(frozen=True)
class _Tick:
    """The steps of one tick, each in a transaction of its own, so that one that fails does not keep the others."""

    opened: Pipeline
    context: dg.SensorEvaluationContext
    now: datetime

    def do(self, step: str, work: Callable[[Connection], Mapping[str, str] | None]) -> None:
        """Do a step. If it fails, wholly or for some tenants, log that and raise an alert."""
        try:
            with self.opened.database.connect() as connection:
                failures = work(connection) or {}
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged, and an alert
            failures = {"": safe_message(error)}
        for tenant_id, reason in failures.items():
            message = f"{f'{tenant_id}: ' if tenant_id else ''}{step} failed: {reason}"
            self.context.log.error(message)
            try:
                with self.opened.database.connect() as connection:
                    alerts.record_findings(
                        connection, [Finding(ALERTING, step, None, message, "xeno doctor")], self.now
                    )
            except psycopg.Error as error:
                # Not `exception`: a traceback quotes rows.
                self.context.log.error(f"That could not be stored as an alert: {safe_message(error)}")  # noqa: TRY400

    def evaluate_checks(self) -> None:
        """Evaluate all checks, and resolve the alerts that they no longer find."""
        for check in ALERT_CHECKS:
            self.do(f"evaluating {check.name}", partial(self._evaluate, check))
        self.do("resolving alerts of inactive tenants", alerts.resolve_inactive_tenants)
        self.do("resolving alerts", partial(alerts.mark_resolved, at=self.now, kinds=[ALERTING]))

    def read_run(self, record: dg.RunRecord, connection: Connection) -> None:
        read_run(connection, self.context.instance, record)

    def _evaluate(self, check: Check, connection: Connection) -> Mapping[str, str]:
        """Store a check's findings. Alerts of tenants for which it could not be evaluated are not resolved."""
        found = evaluate(connection, self.opened.settings, check)
        alerts.record_findings(connection, found, self.now)
        unknown = {finding.tenant_id for finding in found if not finding.is_evaluated}
        if None in unknown:
            return {}
        excluded = [tenant_id for tenant_id in unknown if tenant_id]
        return alerts.mark_resolved(connection, self.now, kinds=[check.name], excluded=excluded)


def ended_runs(instance: dg.DagsterInstance, after: datetime) -> Sequence[dg.RunRecord]:
    """The runs that succeeded or failed after a time, oldest first; no more than one tick can read."""
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE], updated_after=after)
    return instance.get_run_records(filters, limit=_RUNS_A_TICK, order_by="update_timestamp", ascending=True)


def read_run(connection: Connection, instance: dg.DagsterInstance, record: dg.RunRecord) -> None:
    """Raise alerts for the tenants that a run failed for, and resolve those of the others."""
    run = record.dagster_run
    if run.job_name in _RETRIED_JOBS:
        return
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    failed: dict[str, Finding] = {}
    if run.status is dg.DagsterRunStatus.FAILURE:
        failed = {finding.tenant_id or "": finding for finding in _failures(instance, run, at)}
        alerts.record_findings(connection, failed.values(), at)
        if "" in failed:
            return  # it is not known which tenants it had finished
    tenants = tenants_of_run(instance, run)
    succeeded = None if tenants is None and not failed else {*(tenants or ()), ""} - failed.keys()
    alerts.mark_resolved(connection, at, kinds=[RUN], subject=_subject(run), tenant_ids=succeeded)


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime) -> Iterator[Finding]:
    """A finding for each tenant that a run failed for; one without a tenant where the run names none."""
    reasons: dict[str, str] = {}
    for by_tenant in step_failure_metadata(instance, run.run_id, FAILED_TENANTS):
        reasons |= by_tenant if isinstance(by_tenant, dict) else {}
    for tenant_id, reason in reasons.items():
        yield _finding(run, tenant_id or None, reason, at)
    if not reasons:
        yield _finding(run, None, "its log in Dagster has the reason", at)


def _finding(run: dg.DagsterRun, tenant_id: str | None, reason: str, at: datetime) -> Finding:
    command = _COMMANDS.get(run.job_name, "xeno sync" if run.job_name == ASSET_JOB and tenant_id else "xeno doctor")
    message = f"run {run.run_id[:8]} of {_subject(run)} failed: {reason.rstrip('.')}"
    return Finding(RUN, _subject(run), tenant_id, message, f"{command} {tenant_id or ''}".rstrip(), at)


def _subject(run: dg.DagsterRun) -> str:
    return "materializing assets" if run.job_name == ASSET_JOB else run.job_name
