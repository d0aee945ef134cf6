"""Fitting the models of the tenants that are due: once a week, and after late changes of what was fitted on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.tenant_lock import TRANSFORM_LOCK_KEY
from xeno_pipeline.tenants.bisection import Failures

_VERSION = 2
"""Raise it when the same orders come to give other models: all tenants are then fitted again."""

_DUE = """
    select tenant_id, monday
    from intermediate.int_tenant_figures figures
    cross join lateral (
        select as_of_date - (extract(isodow from as_of_date)::integer - 1) as monday
    ) week
    left join intermediate.prediction_fits fits using (tenant_id)
    where tenant_id = any(%(tenant_ids)s)
    and (
        fits.fitted_on is distinct from monday
        or fits.is_stale
        or fits.digest not like %(version)s
    )
    order by tenant_id
    """


@dataclass
class RefitReport:
    """What a refit did.

    Args:
        fitted: the tenants whose models are other ones now, with the day of the fit.
        unchanged: those that were due and whose models stay, because what they are fitted on is the same.
        failures: for which tenants it failed, and why.
    """

    fitted: dict[str, date] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)
    seconds: float = 0.0


def refit(database: Database, tenant_ids: Sequence[str]) -> RefitReport:
    """Fit the models of the tenants that are due, each in a transaction of its own.

    Due is a tenant with marts whose fit is not that of the last Monday, by the day that its marts are of; or which is
    marked as stale. A tenant that fails keeps the models it had.

    Raises:
        DatabaseUnavailableError: nothing can be fitted.
    """
    started = time.monotonic()
    report = RefitReport()
    with database.connect() as connection:
        due = list(_due(connection, tenant_ids))
        connection.commit()
        for tenant_id in due:
            with report.failures.guard(tenant_id, "the fit of its predictions"), connection.transaction():
                _refit_tenant(connection, tenant_id, report)
    report.seconds = time.monotonic() - started
    return report


def mark_late_changes(connection: Connection, tenant_ids: Sequence[str]) -> None:
    """Mark the fits before whose day something changed: days are stale whose orders or sales differ.

    Called before the stale keys of the tenants are deleted.
    """
    connection.execute(
        """
        update intermediate.prediction_fits fits
        set is_stale = true
        where fits.tenant_id = any(%s) and not fits.is_stale
        and exists (
            select from stale.days days where days.tenant_id = fits.tenant_id and days.date_day < fits.fitted_on
        )
        """,
        [list(tenant_ids)],
    )


def _due(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, date]:
    bound = {"tenant_ids": list(tenant_ids), "version": f"{_VERSION}-%"}
    return dict(connection.execute(_DUE, bound).fetchall())


def _refit_tenant(connection: Connection, tenant_id: str, report: RefitReport) -> None:
    """Fit a tenant's models, while no transform of it runs, nor its removal."""
    lock = f"select pg_advisory_xact_lock({TRANSFORM_LOCK_KEY}) from (values (%s)) t (tenant_id)"
    connection.execute(lock, [tenant_id])
    monday = _due(connection, [tenant_id]).get(tenant_id)
    if monday is None:  # another run was faster, or the tenant is removed
        return
    from xeno_pipeline.predictions import fit, order_days, storage

    first = order_days.days_since_epoch(monday)
    days = order_days.read_order_days(connection, tenant_id, monday)
    sales = order_days.read_sales(connection, tenant_id, [first, *(first - before for before in fit.ORIGINS)])
    digest = f"{_VERSION}-{hashlib.sha256(f'{monday} {days.digest} {sorted(sales.items())}'.encode()).hexdigest()[:32]}"
    updated = "update intermediate.prediction_fits set is_stale = false where tenant_id = %s and digest = %s"
    if connection.execute(updated, [tenant_id, digest]).rowcount:
        report.unchanged.append(tenant_id)
        return
    fitted = fit.fit_tenant(days, first, sales)
    storage.store_fit(connection, tenant_id, fitted, digest, sales[first].kept_share)
    # Who is in a segment by a prediction may not be in it any more. Predictions are dated: a new day changes them, too.
    connection.execute(
        """
        insert into stale.segments (tenant_id, segment_id)
        select tenant_id, segment_id from ops.segments where tenant_id = %s and removed_at is null and is_dated
        on conflict do nothing
        """,
        [tenant_id],
    )
    report.fitted[tenant_id] = monday
