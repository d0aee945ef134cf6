"""The checks that `xeno doctor` evaluates too: they need no running daemon and no alerts to be configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xeno_pipeline.database.connection import Database
from xeno_pipeline.monitoring.checks import (
    CURRENCIES,
    DATES,
    DEAD_LETTERS,
    HISTORY,
    PRIVACY,
    SALES,
    SUBSCRIPTIONS,
    Check,
    Finding,
    evaluate,
)
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, State, ok
from xeno_pipeline.settings import Settings


def diagnose_webhooks(settings: Settings, database: Database) -> list[Diagnosis]:
    """Whether active stores are subscribed, and no webhook was given up."""
    if settings.public_url is None:
        message = "XENO_PUBLIC_URL is not set, so no store is subscribed; no webhook was given up"
    else:
        message = f"every store sends its webhooks to {settings.public_url}; none was given up"
    return _problems(settings, database, (SUBSCRIPTIONS, DEAD_LETTERS)) or [ok("webhooks", message)]


def diagnose_privacy(settings: Settings, database: Database) -> list[Diagnosis]:
    """Whether privacy requests are done long enough before their deadlines."""
    return _problems(settings, database, (PRIVACY,)) or [ok("privacy requests", "none is near its deadline")]


def diagnose_figures(settings: Settings, database: Database) -> list[Diagnosis]:
    """Whether stores' data lets the marts say what people expect of them; only if the marts are of this version.

    Warnings, whatever the severity of the check: the installation works, and the remedy is at the store.
    """
    problems = _problems(settings, database, (SALES, DATES, CURRENCIES, HISTORY))
    return [replace(problem, state=State.WARNING) for problem in problems] or [
        ok("figures", "all sales, dates and currencies in the marts are known, and no history lacks orders")
    ]


def _problems(settings: Settings, database: Database, checks: Sequence[Check]) -> list[Diagnosis]:
    with database.connect() as connection:
        return [_diagnosis(finding) for check in checks for finding in evaluate(connection, settings, check)]


def _diagnosis(finding: Finding) -> Diagnosis:
    state = State.WRONG if finding.is_error else State.WARNING
    subject = f"store {finding.tenant_id}" if finding.tenant_id else finding.subject
    remedy = f"Try `{finding.command}`." if finding.is_evaluated else "See the log of the database server."
    return Diagnosis(subject, state, f"{finding.message.rstrip('.')}.", remedy)
