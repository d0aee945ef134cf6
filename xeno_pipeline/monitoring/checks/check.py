"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from xeno_pipeline.extraction.streams import SHOP
from xeno_pipeline.raw.tables import SHOPS

RELATION_OF_STREAM = "case when stream in ('shop', 'app') then 'raw.shops' else 'raw.' || stream end"
"""`relation_of` as SQL, of a column `stream`."""


@dataclass(frozen=True)
class Finding:
    """One problem that a check found.

    Args:
        check: the name of the check.
        subject: what the problem is with, `raw.orders` or `shopify.shop`.
        tenant_id: None where it is not one tenant's problem.
        message: what is wrong, without the tenant's name and without personal data.
        command: what to try.
        since: None where that is not known.
        is_error: whether figures are wrong or missing; else it is a warning.
        is_evaluated: false where the check itself failed, so that nothing is known.
    """

    check: str
    subject: str
    tenant_id: str | None
    message: str
    command: str
    since: datetime | None = None
    is_error: bool = True
    is_evaluated: bool = True


@dataclass(frozen=True)
class Check:
    """One question about all active tenants.

    Args:
        name: what is true where nothing is found.
        description: the same in a sentence.
        subjects: what it can have findings about; empty: the dbt models that have tests.
        query: selects a row for each problem, with the columns subject, tenant_id, since, message and command, and
            optionally is_error.
        is_error: the severity of findings whose row does not say.
        reads_marts: whether it needs the relations of the marts; without them it finds nothing.
    """

    name: str
    description: str
    subjects: Sequence[str]
    query: str
    is_error: bool = True
    reads_marts: bool = False


def relation_of(stream: str) -> str:
    """The root table that a stream loads."""
    return f"raw.{SHOPS.name}" if stream in (SHOP, "app") else f"raw.{stream}"
