"""What figures mean: the descriptions of the marts' columns, which the contract has as comments in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xeno_pipeline.database.connection import Connection

EXPLAINED: Mapping[str, Sequence[str]] = {
    "revenue_trends": ("net_sales", "orders", "average_order_value", "customers"),
    "revenue_daily": (
        *(
            "orders",
            "new_customers",
            "gross_sales",
            "discounts",
            "returns",
            "net_sales",
            "shipping",
            "taxes",
            "duties_and_fees",
            "total_sales",
        ),
    ),
    "dim_customers": (
        *("net_sales", "orders_count", "average_order_value", "days_since_last_order"),
        *("churn_segment", "is_churn_risk", "is_high_value"),
    ),
    "tenant_overview": ("net_sales_last_30d", "orders_last_30d", "customers_last_30d"),
    "rfm_segments": ("net_sales",),
    "cohort_retention": ("retention_rate", "net_sales", "ltv"),
    "top_products": ("sku", "net_sales"),
    "checkout_recovery_daily": ("checkouts", "value", "recovered_value", "recovery_rate"),
    "segments": ("customers", "net_sales", "joined_30d", "left_30d"),
}
"""The columns that pages explain, by mart: catalogues have their descriptions."""

_QUERY = """
    select classes.relname, attributes.attname, comments.description
    from pg_description comments
    join pg_class classes on classes.oid = comments.objoid and classes.relnamespace = 'marts'::regnamespace
    join pg_attribute attributes on attributes.attrelid = classes.oid and attributes.attnum = comments.objsubid
    where comments.classoid = 'pg_class'::regclass and comments.objsubid > 0
    """


class Definitions:
    """The descriptions, read once a process: they change only with a release."""

    def __init__(self) -> None:
        self._known: Mapping[tuple[str, str], str] | None = None

    def of(self, connection: Connection, mart: str, column: str) -> str:
        """The description of a column; empty where the database has none."""
        if self._known is None:
            rows = connection.execute(_QUERY).fetchall()
            self._known = {(mart, column): text for mart, column, text in rows}
        return self._known.get((mart, column), "")


DEFINITIONS = Definitions()
