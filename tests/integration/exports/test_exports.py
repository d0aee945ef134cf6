"""What is exported is what the marts hold: every row, digit and distinction, in CSV and in Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import psycopg
import pytest
from psycopg import sql

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.exports.contract import Mart, UnknownMartError, find_mart, read_marts
from xeno_pipeline.exports.copying import OutdatedMartsError, read_copy
from xeno_pipeline.exports.csv import stream_csv
from xeno_pipeline.exports.parquet import ParquetError, write_parquet
from xeno_pipeline.exports.selection import NotOfCustomersError, RangeError, Selection

MARTS = sorted(read_marts())

TEXTS = (
    *(
        "",
        "plain",
        'say "so"',
        "two\nlines",
        "two\r\nlines",
        "\r",
        "comma, ted",
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\\.",
        "\\N",
    ),
    *("NULL", "null", " padded ", "\t", "ünïcödé 𝔘 \u200b", "{a,b}", "'quoted'", "x" * 100_000),
    *("\\", "\\\\", "\\n", "\\\n", "\\\\n", "C:\\new\\table", "\b\f\v\x01\x7f", "\ufeffmarked", "t", '"', '""'),
)


@contextmanager
def owner(warehouse: Warehouse) -> Iterator[Connection]:
    with warehouse.database.connect() as connection:
        connection.execute("set local search_path = marts")
        yield connection


def csv_text(warehouse: Warehouse, selection: Selection) -> str:
    with owner(warehouse) as connection:
        return b"".join(stream_csv(connection, selection)).decode()


def parquet_rows(warehouse: Warehouse, selection: Selection, file: Path) -> list[tuple[Any, ...]]:
    with owner(warehouse) as connection:
        write_parquet(connection, selection, file)
    with closing(duckdb.connect()) as reader:
        return reader.read_parquet(str(file)).fetchall()


def held(warehouse: Warehouse, mart: Mart, tenant: str = "shelf") -> list[tuple[Any, ...]]:
    names = ", ".join(column.name for column in mart.columns)
    order = ", ".join(mart.key) or "1"
    return warehouse.query(f"select {names} from marts.{mart.name} where tenant_id = %s order by {order}", tenant)


def rendered(value: Any) -> str:
    """As CSV has it, by its own account."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


@pytest.mark.parametrize("name", MARTS)
def test_every_mart_is_exported_as_it_is(exported: Warehouse, name: str, folder: Path) -> None:
    mart = find_mart(name)
    rows = held(exported, mart)
    header, *lines = csv.reader(io.StringIO(csv_text(exported, Selection("shelf", mart)), newline=""))
    types = [column.type for column in mart.columns]

    assert header == [column.name for column in mart.columns]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        shown = [rendered(value) for value in row]
        for text, value, type_ in zip(line, shown, types, strict=True):
            if type_ == "timestamptz":
                # Python pads microseconds with zeros, PostgreSQL does not.
                assert text == re.sub(r"(\.\d*[1-9])0+\+", r"\1+", value).removesuffix(":00")
            elif type_ == "text[]":
                assert orjson.loads(text) == orjson.loads(value)
            else:
                assert text == value
    assert parquet_rows(exported, Selection("shelf", mart), folder / "it.parquet") == rows


def test_most_marts_have_rows_here(exported: Warehouse) -> None:
    empty = {name for name in MARTS if not held(exported, find_mart(name))}
    assert empty <= {"abandoned_carts", "prediction_quality", "rfm_migrations"}


def test_parquet_has_the_types_of_the_contract(exported: Warehouse, folder: Path) -> None:
    file = folder / "orders.parquet"
    with owner(exported) as connection:
        write_parquet(connection, Selection("shelf", find_mart("fct_orders")), file)
    with closing(duckdb.connect()) as reader:
        types = {name: type_ for name, type_, *_ in reader.sql(f"describe select * from '{file}'").fetchall()}
        codecs = reader.sql(f"select distinct compression from parquet_metadata('{file}')").fetchall()
    wanted = {
        "order_id": "BIGINT",
        "ordered_at": "TIMESTAMP WITH TIME ZONE",
        "ordered_on": "DATE",
        "is_counted": "BOOLEAN",
        "tags": "VARCHAR[]",
        "net_sales": "DECIMAL(20,4)",
    }
    assert {name: types[name] for name in wanted} == wanted
    assert codecs == [("ZSTD",)]


@pytest.fixture
def odd(exported: Warehouse) -> Iterator[list[tuple[Any, ...]]]:
    """Products with every odd text, and with none."""
    insert = """
        insert into marts.dim_products (tenant_id, product_id, title, vendor, variants_count, min_price, is_deleted)
        values ('empty', %s, %s, %s, 1, %s, false)
        """
    rows: list[tuple[Any, ...]] = [
        (number, text, None, Decimal("0.0001") * number) for number, text in enumerate(TEXTS)
    ]
    rows.append((len(TEXTS), None, "", Decimal("9999999999999999.9999")))
    for row in rows:
        exported.execute(insert, *row)
    yield rows
    exported.execute("delete from marts.dim_products where tenant_id = 'empty'")


def test_texts_survive_and_null_is_not_empty_text(
    exported: Warehouse, odd: list[tuple[Any, ...]], folder: Path
) -> None:
    mart = find_mart("dim_products")
    at = [column.name for column in mart.columns].index("title")
    rows = held(exported, mart, "empty")
    assert [row[at] for row in rows] == [*TEXTS, None]

    assert parquet_rows(exported, Selection("empty", mart), folder / "odd.parquet") == rows

    text = csv_text(exported, Selection("empty", mart))
    lines = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [line[at] for line in lines] == [*TEXTS, ""]
    assert text.splitlines()[1].startswith('empty,0,"",,'), "empty text is quoted, null is nothing"
    assert text.splitlines()[-1].startswith(f'empty,{len(TEXTS)},,"",')


LISTS: tuple[list[str | None] | None, ...] = (
    None,
    [],
    [""],
    [None],
    ["NULL", "null", None, ""],
    ["a,b", "{c}", 'say "so"', "\\", "\\n", "two\nlines", "\t", "[1]", " padded "],
    ["vip", "ünïcödé 𝔘"],
    ["vip", "ünïcödé 𝔘"],
)


def test_lists_survive(exported: Warehouse, folder: Path) -> None:
    mart = find_mart("fct_orders")
    insert = """
        insert into marts.fct_orders (tenant_id, order_id, tags, is_redated, is_in_other_currency)
        values ('empty', %s, %s, false, false)
        """
    try:
        for number, tags in enumerate(LISTS):
            exported.execute(insert, number, tags)
        rows = held(exported, mart, "empty")
        assert parquet_rows(exported, Selection("empty", mart), folder / "lists.parquet") == rows
        found = csv_text(exported, Selection("empty", mart))
    finally:
        exported.execute("delete from marts.fct_orders where tenant_id = 'empty'")
    at = [column.name for column in mart.columns].index("tags")
    assert tuple(row[at] for row in rows) == LISTS
    lines = list(csv.reader(io.StringIO(found, newline="")))[1:]
    assert tuple(orjson.loads(line[at] or "null") for line in lines) == LISTS


@pytest.mark.thorough
def test_wide_rows_need_no_more_memory_and_stay_in_order(exported: Warehouse, folder: Path) -> None:
    exported.execute(
        """
        insert into marts.dim_products (tenant_id, product_id, title, variants_count, is_deleted)
        select 'empty', n, repeat(md5(n::text), 256), 1, false from generate_series(1, 40000) n order by random()
        """
    )
    try:
        rows = parquet_rows(exported, Selection("empty", find_mart("dim_products")), folder / "wide.parquet")
    finally:
        exported.execute("delete from marts.dim_products where tenant_id = 'empty'")
    assert [row[1] for row in rows] == list(range(1, 40_001))


@pytest.mark.thorough
def test_a_full_disk_ends_the_export_and_frees_the_connection(exported: Warehouse) -> None:
    exported.execute(
        """
        insert into marts.dim_products (tenant_id, product_id, title, variants_count, is_deleted)
        select 'empty', n, repeat(md5(n::text), 1000), 1, false from generate_series(1, 2000) n
        """
    )
    try:
        with owner(exported) as connection:
            with pytest.raises(
                ParquetError, match=r"^empty: pyarrow could not write dim_products as Parquet \(OSError"
            ):
                write_parquet(connection, Selection("empty", find_mart("dim_products")), Path("/dev/full"))
            connection.rollback()
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        exported.execute("delete from marts.dim_products where tenant_id = 'empty'")


def test_a_range_of_days_is_the_shops_and_includes_both_ends(exported: Warehouse) -> None:
    days = [day for (day,) in exported.query("select distinct ordered_on from marts.fct_orders order by 1")]
    first, last = days[3], days[-4]
    mart = find_mart("fct_orders")

    lines = csv_text(exported, Selection("shelf", mart, first, last)).splitlines()[1:]

    assert len(lines) == exported.value(
        "select count(*) from marts.fct_orders where ordered_on between %s and %s", first, last
    )
    assert len(csv_text(exported, Selection("shelf", mart, since=first)).splitlines()) > len(lines) + 1
    assert csv_text(exported, Selection("shelf", mart, date.min, date.max)).count("\n") > len(lines) + 1

    timeline = find_mart("customer_timeline")
    zone = exported.value("select iana_timezone from marts.dim_tenants where tenant_id = 'shelf'")
    moments = exported.query("select (occurred_at at time zone %s)::date from marts.customer_timeline", zone)
    day = moments[len(moments) // 2][0]
    of_day = csv_text(exported, Selection("shelf", timeline, day, day)).splitlines()[1:]
    assert len(of_day) == moments.count((day,)) > 0
    assert csv_text(exported, Selection("shelf", timeline, day + timedelta(1), date.max)).count("\n") > 0


def test_what_cannot_be_selected_is_refused(exported: Warehouse) -> None:
    with pytest.raises(RangeError, match="The rows of dim_products have no date"):
        Selection("shelf", find_mart("dim_products"), since=date(2026, 1, 1))
    with pytest.raises(RangeError, match="the first day comes after the last"):
        Selection("shelf", find_mart("fct_orders"), date(2026, 1, 2), date(2026, 1, 1))
    with pytest.raises(NotOfCustomersError, match="revenue_daily has no customers"):
        Selection("shelf", find_mart("revenue_daily"), segment_id=1)
    with pytest.raises(UnknownMartError, match=r"There is no mart 'fct_order'. Did you mean fct_orders\?"):
        find_mart("fct_order")
    with pytest.raises(UnknownMartError, match="There are abandoned_carts, "):
        find_mart("orders; drop table x\0")


def test_a_database_that_lacks_a_column_says_so(exported: Warehouse, folder: Path) -> None:
    selection = Selection("shelf", find_mart("dim_products"))

    def export_csv(connection: Connection) -> None:
        list(stream_csv(connection, selection))

    def export_parquet(connection: Connection) -> None:
        write_parquet(connection, selection, folder / "it.parquet")

    for export in (export_csv, export_parquet):
        with owner(exported) as connection:
            connection.execute("alter table marts.dim_products drop column vendor cascade")
            with pytest.raises(OutdatedMartsError, match="`xeno db migrate` makes"):
                export(connection)
            connection.rollback()


def test_an_error_amid_the_rows_is_not_their_end(exported: Warehouse) -> None:
    query = sql.SQL("select 1000 / (2000 - n) from generate_series(1, 3000) n")
    with owner(exported) as connection:
        chunks = read_copy(connection, query, "format text", 100)
        assert next(chunks)[1] > 10
        with pytest.raises(psycopg.errors.DivisionByZero):
            list(chunks)
        connection.rollback()
        assert connection.execute("select 1").fetchone() == (1,)


def test_who_stops_reading_frees_the_connection(exported: Warehouse) -> None:
    with owner(exported) as connection:
        chunks = stream_csv(connection, Selection("shelf", find_mart("customer_timeline")))
        next(chunks)
        chunks.close()
        assert connection.info.transaction_status.name in ("INTRANS", "INERROR", "IDLE")
        connection.rollback()
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_contract_is_that_of_dbt(exported: Warehouse) -> None:
    nodes = orjson.loads(exported.project.manifest_path.read_bytes())["nodes"].values()
    models = {node["name"]: node for node in nodes if node["resource_type"] == "model" and node["schema"] == "marts"}
    assert models.keys() == read_marts().keys()
    for name, mart in read_marts().items():
        assert mart.description == models[name]["description"].strip()
        declared = [
            (column["name"], column["data_type"].replace(" ", ""), column["description"].strip())
            for column in models[name]["columns"].values()
        ]
        assert [(column.name, column.type, column.description) for column in mart.columns] == declared
        assert models[name]["config"]["meta"]["security_invoker"] is True
