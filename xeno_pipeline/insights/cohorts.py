"""Cohorts: customers by the month of their first order, and what came of them month by month."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Literal

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model

Measure = Literal["retention", "net_sales", "ltv"]

_COLUMNS: dict[Measure, str] = {"retention": "retention_rate", "net_sales": "net_sales", "ltv": "ltv"}


class Cohort(Model):
    """Customers with their first order in the same month."""

    cohort_month: date
    cohort_size: int
    values: list[Amount] = Field(description="By months since, from 0, without gaps.")


class Cohorts(Model):
    """Cohorts by one measure."""

    measure: Measure = Field(
        description="`retention`: the fraction that ordered in the month; `net_sales`: of the month; "
        "`ltv`: net sales so far by customers of the cohort."
    )
    cohorts: list[Cohort]


def cohorts(connection: Connection, tenant_id: str, measure: Measure = "retention") -> Cohorts:
    """The cohorts of a store, of the mart `cohort_retention`."""
    query = f"""
        select cohort_month, cohort_size, {_COLUMNS[measure]} from cohort_retention
        where tenant_id = %s order by cohort_month, period_number
        """
    rows = connection.execute(query, [tenant_id]).fetchall()
    return Cohorts(
        measure=measure,
        cohorts=[
            Cohort(cohort_month=month, cohort_size=size, values=[value for _, _, value in values])
            for (month, size), values in groupby(rows, key=lambda row: (row[0], row[1]))
        ],
    )
