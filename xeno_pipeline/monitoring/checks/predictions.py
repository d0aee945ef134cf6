"""Checks of the models that predictions are made by."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

PREDICTIONS = Check(
    "predictions_fitted",
    "Every active tenant's models of predictions are those of the last Monday, a day later at the latest.",
    ["marts.prediction_quality"],
    """
    select 'marts.prediction_quality' as subject, tenant_id,
        (fits.fitted_on + 8)::timestamp at time zone 'UTC' as since,
        coalesce(
            'the models of predictions were last fitted on ' || to_char(fits.fitted_on::timestamp, 'YYYY-MM-DD'),
            'there are no models of predictions yet'
        ) as message,
        'xeno transform ' || tenant_id as command
    from ops.tenants
    join ops.tenant_marts marts using (tenant_id)
    left join intermediate.prediction_fits fits using (tenant_id)
    where tenants.status = 'active' and tenants.connected_at < now() - interval '2 days'
    and marts.transformed_at < now() - interval '1 hour'
    and coalesce(fits.fitted_on < marts.as_of_date - 8, true)
    """,
    is_error=False,  # what is predicted is a week older than it could be, and still right
)
