"""What in tenants' data keeps figures from being what people take them for."""

from __future__ import annotations

from xeno_pipeline.database.connection import Database
from xeno_pipeline.monitoring.checks import CURRENCIES, DATES, HISTORY, SALES, find
from xeno_pipeline.monitoring.doctor.finding import Finding, ok, warning
from xeno_pipeline.settings import Settings


def examine_figures(settings: Settings, database: Database) -> list[Finding]:
    """What the checks find in the marts of active tenants; their relations are those of this version's models."""
    with database.connect() as connection:
        found = [
            finding for check in (SALES, DATES, CURRENCIES, HISTORY) for finding in find(connection, settings, check)
        ]
    return [
        warning(f"store {finding.tenant_id}", f"{finding.told}.", f"See `{finding.command}`.") for finding in found
    ] or [
        ok("figures", "every sale, date and currency in the marts is known for what it is, and no history lacks orders")
    ]
