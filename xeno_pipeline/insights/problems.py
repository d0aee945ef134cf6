"""What is wrong with the data of stores: the open alerts about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Model, fetch_all

_IS_OPEN = "recovered_at is null and quiet_at is null"


class Problem(Model):
    """A check that fails for a store, or a run that did."""

    check: str = Field(description="The name of the check; `run` for a run.")
    subject: str = Field(description="The asset or job that the problem is with.")
    message: str = Field(description="What is wrong, without personal data, for operators.")
    command: str = Field(description="What an operator tries.")
    since: datetime


def open_problems(connection: Connection, tenant_id: str) -> list[Problem]:
    """The open problems of a store, the oldest first; they are looked for every five minutes."""
    query = f"""
        select kind as check, subject, message, command, since from ops.alerts
        where tenant_id = %(tenant_id)s and {_IS_OPEN} order by since, kind, subject
        """
    return fetch_all(connection, Problem, query, {"tenant_id": tenant_id})


def count_problems(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, int]:
    """How many open problems stores have, by handle; those without any are left out."""
    query = f"""
        select tenant_id, count(*) from ops.alerts
        where tenant_id = any(%s) and {_IS_OPEN} group by tenant_id
        """
    rows: list[tuple[str, int]] = connection.execute(query, [list(tenant_ids)]).fetchall()
    return dict(rows)
