"""The sensor that raises alerts: what checks find, and runs that failed. It needs no run of its own to be heard."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors at run time.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import orjson
import psycopg

from xeno_pipeline.database.connection import Connection, DatabaseUnavailableError
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.defs.concurrency import BACKFILL_JOB
from xeno_pipeline.defs.jobs.names import EVENTS_JOB, PRIVACY_JOB, RECONCILE_JOB, SYNC_JOB, TRANSFORM_JOB
from xeno_pipeline.defs.resources import Pipeline, PipelineResource
from xeno_pipeline.defs.tenant_failures import FAILED_TENANTS
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
"""A run's end may be stored by a clock that is behind; what is seen twice is taken once."""

_RUNS_A_TICK = 500

_TRIED_AGAIN = {EVENTS_JOB, PRIVACY_JOB}
"""What these jobs cannot do is tried again within seconds, and checks tell where that does not help."""

_COMMANDS = {SYNC_JOB: "xeno sync", RECONCILE_JOB: "xeno reconcile", TRANSFORM_JOB: "xeno transform"}


@dataclass(frozen=True)
class Looked:
    """How far the sensor has looked.

    Args:
        runs_until: runs that ended by then are known; as ISO 8601.
        checked_at: when the checks were last evaluated, in seconds since 1970.
    """

    runs_until: str
    checked_at: float = 0.0


def alerts_sensor() -> dg.SensorDefinition:
    """Raises alerts, and delivers them."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells by e-mail or webhook what checks find, which runs failed, and when that is over.",
    )
    def alerts_(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult | dg.SkipReason:
        opened = pipeline.open()
        targets = channels(opened.settings)
        if not targets:
            return dg.SkipReason("No channel is set: XENO_ALERT_EMAIL_TO or XENO_ALERT_WEBHOOK_URL says whom to tell.")
        now = datetime.now(UTC)
        looked = Looked(**orjson.loads(context.cursor)) if context.cursor else Looked(now.isoformat())
        ended = ended_runs(context.instance, datetime.fromisoformat(looked.runs_until) - _OVERLAP)
        is_time_to_check = now.timestamp() >= looked.checked_at + _SECONDS_BETWEEN_CHECKS
        tick = _Tick(opened, context, now)
        for record in ended:
            tick.do(f"looking at run {record.dagster_run.run_id[:8]}", partial(tick.see_run, record))
        if is_time_to_check:
            for check in ALERT_CHECKS:
                tick.do(f"evaluating {check.name}", partial(tick.evaluate, check))
            tick.do("looking for inactive tenants", alerts.resolve_inactive_tenants)
            tick.do("looking what is over", partial(alerts.mark_resolved, at=now, kinds=[ALERTING]))
        tick.do("writing messages", partial(alerts.queue_messages, channels=targets))
        delivered = alerts.deliver(opened.database, targets)
        # What has not been read yet, where that was too much at once, ended after what was.
        runs_until = max((record.update_timestamp for record in ended), default=None)
        cursor = Looked(
            runs_until.replace(tzinfo=runs_until.tzinfo or UTC).isoformat() if runs_until else looked.runs_until,
            now.timestamp() if is_time_to_check else looked.checked_at,
        )
        reason = f"{delivered} message{'s' * (delivered != 1)} delivered." if delivered else "There is no news."
        return dg.SensorResult(skip_reason=reason, cursor=orjson.dumps(asdict(cursor)).decode())

    return alerts_


@dataclass(frozen=True)
class _Tick:
    """The parts of one look, each in a transaction of its own: what fails in one keeps no other from being done."""

    opened: Pipeline
    context: dg.SensorEvaluationContext
    now: datetime

    def do(self, what: str, part: Callable[[Connection], Mapping[str, str] | None]) -> None:
        """Do a part; where it fails, wholly or for tenants, that is in the sensor's log, and an alert."""
        try:
            with self.opened.database.connect() as connection:
                failures = part(connection) or {}
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told
            failures = {"": safe_message(error)}
        for tenant_id, reason in failures.items():
            message = f"{f'{tenant_id}: ' if tenant_id else ''}{what} failed: {reason}"
            self.context.log.error(message)
            try:
                with self.opened.database.connect() as connection:
                    finding = Finding(ALERTING, what, None, message, "xeno doctor")
                    alerts.record_findings(connection, [finding], self.now)
            except psycopg.Error as error:
                self.context.log.error(f"That could not be noted: {safe_message(error)}")  # noqa: TRY400 - it quotes no rows

    def see_run(self, record: dg.RunRecord, connection: Connection) -> None:
        see_run(connection, self.context.instance, record)

    def evaluate(self, check: Check, connection: Connection) -> Mapping[str, str]:
        """Note what a check finds; of whom it could not be evaluated, nothing is over."""
        found = evaluate(connection, self.opened.settings, check)
        alerts.record_findings(connection, found, self.now)
        unknown = {finding.tenant_id for finding in found if not finding.is_evaluated}
        if None in unknown:
            return {}
        excluded = [tenant_id for tenant_id in unknown if tenant_id]
        return alerts.mark_resolved(connection, self.now, kinds=[check.name], excluded=excluded)


def ended_runs(instance: dg.DagsterInstance, after: datetime) -> Sequence[dg.RunRecord]:
    """The runs that ended since, well or badly, the oldest first; no more than can be looked at at once."""
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE], updated_after=after)
    return instance.get_run_records(filters, limit=_RUNS_A_TICK, order_by="update_timestamp", ascending=True)


def see_run(connection: Connection, instance: dg.DagsterInstance, record: dg.RunRecord) -> None:
    """Note of a run that has ended with whom it failed, and with whom it did not."""
    run = record.dagster_run
    if run.job_name in _TRIED_AGAIN:
        return
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    failed: dict[str, Finding] = {}
    if run.status is dg.DagsterRunStatus.FAILURE:
        failed = {finding.tenant_id or "": finding for finding in _failures(instance, run, at)}
        alerts.record_findings(connection, failed.values(), at)
        if "" in failed:
            return  # nobody knows how far it came
    tenants = _tenants(instance, run)
    well = None if tenants is None and not failed else {*(tenants or ()), ""} - failed.keys()
    alerts.mark_resolved(connection, at, kinds=[RUN], subject=_name(run), tenant_ids=well)


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime) -> Iterator[Finding]:
    """With whom a run failed; one finding of nobody in particular where it does not say."""
    reasons: dict[str, str] = {}
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records:
        event = record.event_log_entry.dagster_event
        failure = event.step_failure_data.user_failure_data if event else None
        named = failure.metadata.get(FAILED_TENANTS) if failure else None
        reasons |= named.value if named and isinstance(named.value, dict) else {}
    for tenant_id, reason in reasons.items():
        yield _finding(run, tenant_id or None, reason, at)
    if not reasons:
        yield _finding(run, None, "its log in Dagster says why", at)


def _finding(run: dg.DagsterRun, tenant_id: str | None, reason: str, at: datetime) -> Finding:
    command = _COMMANDS.get(run.job_name, "xeno sync" if run.job_name == BACKFILL_JOB and tenant_id else "xeno doctor")
    whom = f" {tenant_id}" if tenant_id else ""
    message = f"run {run.run_id[:8]} of {_name(run)} failed: {reason.rstrip('.')}"
    return Finding(RUN, _name(run), tenant_id, message, f"{command}{whom}", at)


def _name(run: dg.DagsterRun) -> str:
    return "materializing assets" if run.job_name == BACKFILL_JOB else run.job_name


def _tenants(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str] | None:
    """The tenants that a run was about; None: all, or it does not say."""
    config: Mapping[str, Any] = run.run_config
    named = {
        tenant_id for op in config.get("ops", {}).values() for tenant_id in (op.get("config") or {}).get("tenants", ())
    }
    if named:
        return named
    if "dagster/partition" in run.tags:
        return {run.tags["dagster/partition"]}
    first, last = (run.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    partitions = list(instance.get_dynamic_partitions("tenants"))
    if first in partitions and last in partitions:
        return set(partitions[partitions.index(first) : partitions.index(last) + 1])
    return set() if run.job_name == BACKFILL_JOB else None
