"""What answers are made of, and how rows of a query become them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from xeno_pipeline.database.connection import Connection

Amount = Annotated[
    Decimal,
    PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["1249.9000"]}),
]
"""An exact decimal; in JSON, a string of digits. Money is in the shop's currency."""

Answer = TypeVar("Answer", bound="Model")


class Model(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def columns(cls) -> str:
        """The columns that it is made of, as a select list."""
        return ", ".join(cls.model_fields)


class Measures(Model):
    """The sales measures that the marts have everywhere."""

    units: int = Field(description="Units sold, less units taken back.")
    gross_sales: Amount = Field(description="What was sold, before discounts, without taxes.")
    discounts: Amount = Field(description="Zero or negative.")
    returns: Amount = Field(description="Zero or negative.")
    net_sales: Amount = Field(description="Gross sales plus discounts plus returns.")
    shipping: Amount
    taxes: Amount
    duties_and_fees: Amount
    total_sales: Amount = Field(description="Net sales, shipping, taxes, duties and fees.")
    tips: Amount = Field(description="Outside of total sales.")


class Span(Model):
    """Days, in the shop's time zone; both belong to it."""

    first: date
    last: date


def fetch_all(
    connection: Connection, answer: type[Answer], query: str, bound: Mapping[str, Any], **given: Any
) -> list[Answer]:
    """The rows of a query as answers.

    Args:
        answer: what each row becomes; its fields are columns of the query, but for those given.
        bound: what is bound to the query's placeholders.
        given: fields that no column holds.
    """
    cursor = connection.cursor(row_factory=dict_row)
    return [answer.model_validate({**row, **given}) for row in cursor.execute(query, bound)]


def fetch_one(
    connection: Connection, answer: type[Answer], query: str, bound: Mapping[str, Any], **given: Any
) -> Answer | None:
    """The first row of a query as an answer; None without any. The arguments are those of `fetch_all`."""
    row = connection.cursor(row_factory=dict_row).execute(query, bound).fetchone()
    return None if row is None else answer.model_validate({**row, **given})


def fraction(figure: Decimal | int, base: Decimal | int) -> Decimal | None:
    """What fraction of its base a figure is, as the marts have it (the macro `fraction`).

    Returns:
        Six decimals; None where there is no base above zero, or one next to nothing beside the figure.
    """
    dividend, divisor = Decimal(figure), Decimal(base)
    if abs(dividend) >= 10**13 * divisor:
        return None
    return (dividend / divisor).quantize(Decimal("0.000001"), rounding="ROUND_HALF_UP")


def growth(figure: Decimal | int | None, base: Decimal | int | None) -> Decimal | None:
    """By what fraction of its base a figure is above it; None where `fraction` is, or there is no figure."""
    if figure is None or base is None:
        return None
    return fraction(Decimal(figure) - Decimal(base), base)


def as_answers(answer: type[Answer]) -> Callable[[list[dict[str, Any]]], list[Answer]]:
    """Makes answers of rows that have just their fields."""
    return lambda rows: [answer.model_validate(row) for row in rows]
