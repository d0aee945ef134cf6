"""The schedules; they are off until somebody turns them on in the UI."""

from __future__ import annotations

from dagster import DefaultScheduleStatus, JobDefinition, ScheduleDefinition


def schedules(sync: JobDefinition) -> list[ScheduleDefinition]:
    """What runs by the clock."""
    return [
        ScheduleDefinition(
            name="hourly_sync",
            job=sync,
            cron_schedule="7 * * * *",
            execution_timezone="UTC",
            default_status=DefaultScheduleStatus.STOPPED,
            description="Reads what changed at Shopify for all active tenants, in one run.",
        )
    ]
