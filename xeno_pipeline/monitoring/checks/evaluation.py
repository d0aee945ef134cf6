"""Evaluating checks: a query for all tenants, and bisection where one tenant's rows make it fail.

A check is never evaluated tenant by tenant: one tenant's pass would hide another's failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg.rows import dict_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.streams import STREAM_NAMES
from xeno_pipeline.monitoring.checks.check import Check, Finding
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.bisection import bisect
from xeno_pipeline.tenants.scopes import REQUIRED_SCOPES, configured_scopes

_TENANTS = re.compile(r"\bops\.tenants\b")


def evaluate(connection: Connection, settings: Settings, check: Check) -> list[Finding]:
    """What a check finds, ordered by subject and tenant.

    Where the query fails, it is repeated for halves of the tenants, down to those that it fails for: each of these gets
    a finding that the check could not be evaluated.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    if check.reads_marts and connection.execute("select from ops.marts_version").fetchone() is None:
        return []
    parameters = {
        "scopes": sorted({*REQUIRED_SCOPES, *configured_scopes(settings)}),
        "streams": list(STREAM_NAMES),
        "has_public_url": settings.public_url is not None,
    }
    try:
        return _select(connection, check, check.query, parameters)
    except Exception as error:
        if connection.closed:
            raise
        return _evaluate_by_halves(connection, check, parameters, error)


def _evaluate_by_halves(
    connection: Connection, check: Check, parameters: Mapping[str, object], error: Exception
) -> list[Finding]:
    """Evaluate a check whose query fails for all tenants together."""
    query = _TENANTS.sub("(select * from ops.tenants where tenant_id = any(%(tenant_ids)s)) as tenants", check.query)

    def select(tenant_ids: Sequence[str]) -> list[Finding]:
        return _select(connection, check, query, {**parameters, "tenant_ids": list(tenant_ids)})

    try:
        select([])
    except Exception:  # noqa: BLE001 - it fails for no tenant too, so none is the cause
        return [_not_evaluated(check, None, error)]
    active = "select tenant_id from ops.tenants where status = 'active' order by 1"
    parts, failures = bisect([tenant_id for (tenant_id,) in connection.execute(active)], select)
    found = dict.fromkeys(finding for part in parts for finding in part)
    return [*found, *(_not_evaluated(check, tenant_id, failure) for tenant_id, failure in failures.items())]


def _select(connection: Connection, check: Check, query: str, parameters: Mapping[str, object]) -> list[Finding]:
    with connection.transaction():
        rows = connection.cursor(row_factory=dict_row).execute(
            f"select * from ({query}) as found order by subject, tenant_id", parameters
        )
        return [_finding(check, row) for row in rows]


def _finding(check: Check, row: Mapping[str, Any]) -> Finding:
    finding = Finding(**{"check": check.name, "is_error": check.is_error, **row})
    return replace(finding, message=finding.message.removeprefix(f"{finding.tenant_id}: "))


def _not_evaluated(check: Check, tenant_id: str | None, error: Exception) -> Finding:
    subject = check.subjects[0] if check.subjects else "dbt"
    message = f"the check {check.name} could not be evaluated: {safe_message(error)}"
    return Finding(check.name, subject, tenant_id, message, "xeno doctor", is_error=check.is_error, is_evaluated=False)
