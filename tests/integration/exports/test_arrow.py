"""What COPY writes becomes what it was made of, whatever that is, and whatever chunks it comes in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.exports.arrow import read_batches, schema_of
from xeno_pipeline.exports.contract import Column, Mart
from xeno_pipeline.exports.copying import read_copy

TYPES = {
    "a": "text",
    "b": "text[]",
    "c": "numeric(20,4)",
    "d": "double precision",
    "e": "timestamptz",
    "f": "jsonb",
    "g": "date",
    "h": "boolean",
    "i": "bigint",
    "j": "integer",
    "k": "text",
}
MART = Mart(
    "odd", "", tuple(Column(name, type_.replace(" ", ""), "", False) for name, type_ in TYPES.items()), (), None
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text('\\nrtbfvN.{}",\n\r\t')
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
ROWS = st.lists(
    st.tuples(
        *(st.none() | values for values in (texts, st.lists(st.none() | texts, max_size=4))),
        st.none() | st.decimals(-(10**16) + 1, 10**16 - 1, places=4),
        st.none() | st.floats(),
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.none() | documents.map(Jsonb),
        st.none() | st.dates(),
        st.none() | st.booleans(),
        *(st.none() | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (64, 32)),
        st.none() | texts,
    ),
    max_size=12,
)
EXTREMES: list[tuple[Any, ...]] = [
    (
        *("", [""], Decimal("-9999999999999999.9999"), float("-inf"), datetime.min.replace(tzinfo=UTC), Jsonb({})),
        *(date.min, False, -(2**63), -(2**31), "\\N"),
    ),
    (
        *("\\.", [None], Decimal("0.0001"), float("nan"), datetime.max.replace(tzinfo=UTC), Jsonb([None])),
        *(date.max, True, 2**63 - 1, 2**31 - 1, "\n"),
    ),
    (None,) * len(TYPES),
]


@pytest.mark.thorough
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, chunk_bytes=st.sampled_from([1, 100, 10_000]))
def test_every_value_survives(exported: Warehouse, rows: list[tuple[Any, ...]], chunk_bytes: int) -> None:
    check(exported, rows, chunk_bytes)


def test_extremes_survive(exported: Warehouse) -> None:
    check(exported, EXTREMES, 1)


def check(warehouse: Warehouse, rows: list[tuple[Any, ...]], chunk_bytes: int) -> None:
    """See that rows come back in their order, with their values and types."""
    schema = schema_of(MART)
    columns = ", ".join(f"{name} {type_}" for name, type_ in TYPES.items())
    with warehouse.database.connect() as connection:
        connection.execute(f"create temporary table odd (n serial, {columns}) on commit drop")
        insert = f"insert into odd ({', '.join(TYPES)}) values ({', '.join(['%s'] * len(TYPES))})"
        connection.cursor().executemany(insert, rows)
        held = connection.execute("select a, b, c, d, e, f::text, g, h, i, j, k from odd order by n").fetchall()
        query = sql.SQL("select {} from odd order by n").format(sql.SQL(", ").join(map(sql.Identifier, TYPES)))
        chunks = (chunk for chunk, _ in read_copy(connection, query, "format text", chunk_bytes))
        batches = list(read_batches(chunks, schema))
    assert all(batch.schema == schema for batch in batches)
    found = [as_utc(tuple(row.values())) for batch in batches for row in batch.to_pylist()]
    assert list(map(repr, found)) == [repr(as_utc(row)) for row in held]


def as_utc(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose instants have one name for their zone; libraries have several."""
    return tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row)
