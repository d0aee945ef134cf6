"""Rows as Apache Arrow has them, and Parquet files of those. It imports pyarrow, which may not be installed.

Rows come in COPY's text format: Postgres makes it in two thirds of the time that CSV takes, and a row is a line, since
what breaks lines is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.adapt import Transformer
from psycopg.postgres import types
from psycopg.pq import Format
from pyarrow import csv, parquet

from xeno_pipeline.exports.contract import Mart

_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "doubleprecision": pa.float64(),
    "jsonb": pa.string(),
    "text[]": pa.list_(pa.string()),
}
"""Arrow's types, by the contract's; those of decimals depend on their digits."""

_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")
_DISTINCT_TEXTS = pa.dictionary(pa.int32(), pa.string())

_ESCAPED = {
    r"\\": "\0",  # in no text of Postgres; so what is left of backslashes begins an escape
    r"\n": "\n",
    r"\r": "\r",
    r"\t": "\t",
    r"\b": "\b",
    r"\f": "\f",
    r"\v": "\v",
    "\0": "\\",
}
"""What COPY writes for characters that have a meaning to it, in the order in which they are put back."""

_GROUP_BYTES = 16 * 1024 * 1024
"""How much is held in memory before it is written; larger groups compress little better."""


def schema_of(mart: Mart) -> pa.Schema:
    """The mart's columns with Arrow's types."""
    return pa.schema([(column.name, _type(column.type)) for column in mart.columns])


def read_batches(chunks: Generator[bytes, None, None], schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
    """Rows as Arrow has them, a batch for each chunk.

    Args:
        chunks: whole rows in COPY's text format.
        schema: of the rows.

    Raises:
        pyarrow.ArrowException: a value is none of its type's; the message quotes it.
    """
    read = {field.name: _DISTINCT_TEXTS if pa.types.is_list(field.type) else field.type for field in schema}
    parsing = csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False)
    conversion = csv.ConvertOptions(
        check_utf8=False,
        column_types=read,
        null_values=[r"\N"],
        true_values=["t"],
        false_values=["f"],
        strings_can_be_null=True,
    )
    with closing(chunks):
        for chunk in chunks:
            # A chunk is one block, so that no row can be too long for one.
            blocks = csv.ReadOptions(use_threads=False, block_size=len(chunk), column_names=schema.names)
            (batch,) = csv.read_csv(pa.BufferReader(chunk), blocks, parsing, conversion).to_batches()
            yield pa.record_batch([_finish(column) for column in batch.columns], schema)


def write_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Write a Parquet file, compressed by zstd.

    Raises:
        OSError: the disk is full, for example.
    """
    # Differences of numbers and instants take little room; for other values, zstd does what a dictionary would. Their
    # bounds in each group let readers skip groups; those of other values are dear to find, and seldom asked for.
    counted = [field.name for field in schema if _is_counted(field.type)]
    with (
        pa.OSFile(str(path), "wb") as file,
        parquet.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding=dict.fromkeys(counted, "DELTA_BINARY_PACKED"),
            write_statistics=counted,
        ) as writer,
    ):
        for group in _grouped(batches):
            writer.write_table(pa.Table.from_batches(group))


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(each.nbytes for each in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _type(name: str) -> pa.DataType:
    decimal = _DECIMAL.fullmatch(name)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else _TYPES[name]


def _is_counted(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_temporal(type_))


def _finish(column: pa.Array) -> pa.Array:
    """A column's values, of what stands for them in COPY's text."""
    if pa.types.is_dictionary(column.type):
        return _lists(column)
    return _unescape(column) if pa.types.is_string(column.type) else column


def _lists(column: pa.DictionaryArray) -> pa.ListArray:
    """Lists of texts, each distinct one of which is parsed once."""
    load = Transformer().get_loader(types["text"].array_oid, Format.TEXT).load
    distinct = [load(text.encode()) for text in _unescape(column.dictionary).to_pylist()]
    return pa.array(distinct, _TYPES["text[]"]).take(column.indices)


def _unescape(texts: pa.StringArray) -> pa.StringArray:
    *_, characters = texts.buffers()
    if characters is None or b"\\" not in characters.to_pybytes():
        return texts
    for written, meant in _ESCAPED.items():
        texts = pc.replace_substring(texts, written, meant)
    return texts
