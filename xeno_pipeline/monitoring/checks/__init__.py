"""The checks, each defined once: Dagster shows them on its assets, alerts are raised from them, the doctor runs some.

Each asks in one query which active tenants have a problem, and since when. Add one beside those of its subject, and to
the lists below.
"""

from __future__ import annotations

from collections.abc import Sequence

from xeno_pipeline.monitoring.checks.access import SCOPES, TOKENS
from xeno_pipeline.monitoring.checks.check import Check, Finding
from xeno_pipeline.monitoring.checks.evaluation import evaluate
from xeno_pipeline.monitoring.checks.figures import CURRENCIES, DATES, HISTORY, LEDGER, SALES, VOLUME
from xeno_pipeline.monitoring.checks.ingestion import COUNTS, FRESHNESS, QUEUED_SYNCS, SET_ASIDE
from xeno_pipeline.monitoring.checks.marts import DBT_TESTS, MARTS
from xeno_pipeline.monitoring.checks.predictions import PREDICTIONS
from xeno_pipeline.monitoring.checks.privacy import PRIVACY
from xeno_pipeline.monitoring.checks.runs import RETRIED_RUNS, RUNS
from xeno_pipeline.monitoring.checks.segments import SEGMENT_COUNTS, SEGMENTS
from xeno_pipeline.monitoring.checks.webhooks import DEAD_LETTERS, PROCESSING, SUBSCRIPTIONS

_SHARED: Sequence[Check] = (
    *(COUNTS, FRESHNESS, SET_ASIDE, QUEUED_SYNCS),
    *(SUBSCRIPTIONS, PROCESSING, DEAD_LETTERS),
    *(SCOPES, TOKENS, PRIVACY),
    *(MARTS, LEDGER, SALES, DATES, CURRENCIES, HISTORY, VOLUME, SEGMENTS, SEGMENT_COUNTS, PREDICTIONS),
    DBT_TESTS,
)

ASSET_CHECKS: Sequence[Check] = (*_SHARED, RUNS)
"""Those that Dagster shows on the assets that are their subjects."""

ALERT_CHECKS: Sequence[Check] = (*_SHARED, RETRIED_RUNS)
"""Those that raise alerts; failed runs raise alerts of their own, except those that are retried within seconds."""

__all__ = [
    "ALERT_CHECKS",
    "ASSET_CHECKS",
    "COUNTS",
    "CURRENCIES",
    "DATES",
    "DBT_TESTS",
    "DEAD_LETTERS",
    "FRESHNESS",
    "HISTORY",
    "LEDGER",
    "MARTS",
    "PREDICTIONS",
    "PRIVACY",
    "PROCESSING",
    "QUEUED_SYNCS",
    "RETRIED_RUNS",
    "RUNS",
    "SALES",
    "SCOPES",
    "SEGMENTS",
    "SEGMENT_COUNTS",
    "SET_ASIDE",
    "SUBSCRIPTIONS",
    "TOKENS",
    "VOLUME",
    "Check",
    "Finding",
    "evaluate",
]
