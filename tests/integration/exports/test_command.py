"""`xeno export` writes whole files that only their owner reads, or none, and says what is wrong in a sentence."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.support.marts.warehouse import Warehouse
from tests.support.xeno_command import Said

Command = Callable[..., Said]


def audited(exported: Warehouse) -> list[str]:
    query = "select reason from ops.audit_log where tenant_id = 'shelf' and action = 'exported' order by id"
    return [reason for (reason,) in exported.query(query)]


def test_a_mart_is_written_to_a_file(xeno: Command, exported: Warehouse, folder: Path) -> None:
    orders = exported.value("select count(*) from marts.fct_orders")
    before = audited(exported)
    for name in ("orders.csv", "orders.PARQUET"):
        said = xeno("export", "shelf", "fct_orders", "--to", str(folder / name))
        assert (said.exit_code, said.err) == (0, "")
        assert said.out == f"shelf fct_orders: {orders} rows are in {folder / name}.\n"
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["orders.PARQUET", "orders.csv"], "drafts are left"
    assert len((folder / "orders.csv").read_text().splitlines()) == orders + 1
    assert audited(exported) == before, "there is nothing personal in orders"


def test_standard_output_has_the_rows_and_nothing_else(xeno: Command, exported: Warehouse, folder: Path) -> None:
    said = xeno("export", "shelf", "dim_customers", "--to", "-", "--segment", "returning")
    assert (said.exit_code, said.err) == (0, "")
    customers = [int(row["customer_id"]) for row in csv.DictReader(io.StringIO(said.out, newline=""))]
    wanted = exported.query("select customer_id from marts.dim_customers where orders_count >= 2 order by 1")
    assert [(customer,) for customer in customers] == wanted
    assert wanted
    assert audited(exported)[-1] == "dim_customers as csv, by `xeno export`"

    file = folder / "days.parquet"
    day = exported.value("select max(ordered_on) from marts.fct_orders")
    range_ = ("--since", f"{day}", "--until", f"{day}")
    assert xeno("export", "shelf", "fct_orders", "--to", str(file), *range_).exit_code == 0
    with closing(duckdb.connect()) as reader:
        found = reader.execute(f"select order_id from '{file}'").fetchall()
    assert found == exported.query("select order_id from marts.fct_orders where ordered_on = %s order by 1", day)


def test_a_file_is_replaced_only_where_that_is_asked_for(xeno: Command, folder: Path) -> None:
    file = folder / "products.csv"
    file.write_text("mine")
    refused = xeno("export", "shelf", "dim_products", "--to", str(file))
    assert (refused.exit_code, refused.err) == (2, f"{file} exists already: --force replaces it.\n")
    assert file.read_text() == "mine"
    assert xeno("export", "shelf", "dim_products", "--to", str(file), "--force").exit_code == 0
    assert file.read_text().startswith("tenant_id,product_id,")


@pytest.mark.parametrize(("column", "value"), [("min_price", "NaN"), ("created_at", "12026-11-01T00:00:00Z")])
def test_what_fails_leaves_no_file_and_the_old_one_alone(
    xeno: Command, exported: Warehouse, folder: Path, column: str, value: str
) -> None:
    file = folder / "products.parquet"
    file.write_text("mine")
    exported.execute(
        f"insert into marts.dim_products (tenant_id, product_id, is_deleted, {column}) values ('shelf', -1, false, %s)",
        value,
    )
    try:
        failed = xeno("export", "shelf", "dim_products", "--to", str(file), "--force")
    finally:
        exported.execute("delete from marts.dim_products where product_id = -1")
    assert failed.exit_code == 1
    assert failed.err == (
        "shelf: pyarrow could not write dim_products as Parquet (ArrowInvalid): see whether there is room on the disk, "
        "or export CSV, which does without pyarrow.\n"
    )
    assert [path.name for path in folder.iterdir()] == ["products.parquet"]
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "fct_orders", "--to", "-"), "There is no tenant 'nowhere': "),
        (("shelf", "fct_order", "--to", "-"), "There is no mart 'fct_order'. Did you mean fct_orders?"),
        (("shelf", "fct_orders", "--to", "orders.xlsx"), "'orders.xlsx' does not end in .csv or .parquet: "),
        (("shelf", "fct_orders", "--to", "/nowhere/orders.csv"), "There is no folder /nowhere: make it first."),
        (("shelf", "fct_orders", "--to", "/dev/null", "--format", "csv"), "/dev/null is not a file: "),
        (("shelf", "dim_products", "--to", "-", "--since", "2026-01-01"), "The rows of dim_products have no date: "),
        (("shelf", "dim_products", "--to", "-", "--segment", "Returning"), "dim_products has no customers, "),
        (("shelf", "dim_customers", "--to", "-", "--segment", "Nobody"), "shelf"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    xeno: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    said = xeno("export", *arguments)
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(sentence)


def test_without_pyarrow_a_sentence_says_how_to_install_it(
    xeno: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = xeno("export", "shelf", "fct_orders", "--to", str(folder / "it.parquet"))
    assert said.exit_code == 1
    assert "`pip install pyarrow`" in said.err
    assert list(folder.iterdir()) == []
    assert xeno("export", "shelf", "fct_orders", "--to", str(folder / "it.csv")).exit_code == 0


def test_a_bundle_for_superset_is_written(xeno: Command, folder: Path) -> None:
    file = folder / "shelf.zip"
    refused = xeno("tenant", "bi-bundle", "shelf", "--to", str(file))
    assert (refused.exit_code, refused.err) == (
        2,
        "shelf has no role for BI tools yet: `xeno tenant bi-role shelf` creates one.\n",
    )
    made = xeno("tenant", "bi-role", "shelf").out
    try:
        said = xeno("tenant", "bi-bundle", "shelf", "--to", str(file))
        assert (said.exit_code, said.err) == (0, "")
        assert "databases/shelf.yaml" in said.out
        password = made.partition("password")[2].split()[0]
        assert len(password) > 20
        assert password.encode() not in file.read_bytes()
    finally:
        xeno("tenant", "bi-role", "shelf", "--revoke")
