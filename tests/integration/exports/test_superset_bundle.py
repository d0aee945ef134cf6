"""The bundle for Superset has what its import wants: every reference leads somewhere, and no secret is inside."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.marts.warehouse import Warehouse
from xeno_pipeline.database.roles import Address, bi_roles_of, grant_bi_role, revoke_bi_role
from xeno_pipeline.exports.contract import read_marts
from xeno_pipeline.exports.superset.bundle import NoRoleError, choose_role, database_file, make_bundle
from xeno_pipeline.exports.superset.dashboard import METRICS, ROWS, metrics_of
from xeno_pipeline.tenants.registry import Tenant

TENANT = Tenant("acme", "gid", "acme.myshopify.com", "", "Ácme: & Söhne", "EUR", "Europe/Berlin", "Basic", ())
ADDRESS = Address("/var/run/postgres", 5433, "xeno db")

Assets = dict[str, dict[str, Any]]


def assets_of(bundle: bytes) -> Assets:
    with zipfile.ZipFile(io.BytesIO(bundle)) as file:
        return {name.partition("/")[2]: yaml.safe_load(file.read(name)) for name in file.namelist()}


@pytest.fixture(scope="module")
def assets() -> Assets:
    return assets_of(make_bundle(TENANT, ADDRESS, "xeno_bi_1"))


def of_kind(assets: Assets, kind: str) -> list[dict[str, Any]]:
    return [asset for name, asset in assets.items() if name.startswith(f"{kind}/")]


def test_two_bundles_of_a_tenant_are_equal_and_of_two_tenants_disjoint(assets: Assets) -> None:
    assert make_bundle(TENANT, ADDRESS, "xeno_bi_1") == make_bundle(TENANT, ADDRESS, "xeno_bi_1")
    other = Tenant(**{**vars(TENANT), "tenant_id": "other"})
    others = assets_of(make_bundle(other, ADDRESS, "xeno_bi_1"))
    assert {each["uuid"] for each in assets.values() if "uuid" in each}.isdisjoint(
        each.get("uuid") for each in others.values()
    )


def test_the_database_is_the_roles_and_its_password_is_asked_for(assets: Assets) -> None:
    database = assets[database_file("acme")]
    assert database["sqlalchemy_uri"] == (
        "postgresql+psycopg2://xeno_bi_1:XXXXXXXXXX@%2Fvar%2Frun%2Fpostgres:5433/xeno%20db"
    )
    assert not any(database[f"allow_{what}"] for what in ("dml", "ctas", "cvas", "csv_upload"))


def test_every_mart_is_a_dataset_as_the_contract_describes_it(assets: Assets) -> None:
    datasets = {each["table_name"]: each for each in of_kind(assets, "datasets")}
    assert datasets.keys() == read_marts().keys()
    for name, mart in read_marts().items():
        columns = {each["column_name"]: each for each in datasets[name]["columns"]}
        assert {name: each["description"] for name, each in columns.items()} == {
            column.name: column.description for column in mart.columns
        }
        assert datasets[name]["main_dttm_col"] in (None, *columns)
    assert {each["currency"]["symbol"] for each in datasets["fct_orders"]["metrics"] if "currency" in each} == {"EUR"}


def test_every_reference_leads_somewhere(assets: Assets) -> None:
    (database,), (dashboard,) = of_kind(assets, "databases"), of_kind(assets, "dashboards")
    datasets = {each["uuid"]: each for each in of_kind(assets, "datasets")}
    charts = {each["uuid"]: each for each in of_kind(assets, "charts")}
    assert {each["database_uuid"] for each in datasets.values()} == {database["uuid"]}
    for chart in charts.values():
        dataset = datasets[chart["dataset_uuid"]]
        parameters = chart["params"]
        known = {each["metric_name"] for each in dataset["metrics"]}
        assert {parameters["metric"]} if "metric" in parameters else set(parameters["metrics"]) <= known
        columns = {each["column_name"] for each in dataset["columns"]}
        named = parameters.get("groupby", [])
        named = [named] if isinstance(named, str) else named
        assert {*named, parameters.get("x_axis", "tenant_id")} <= columns
        assert {each["subject"] for each in parameters.get("adhoc_filters", [])} <= columns

    position = dashboard["position"]
    placed = {
        place["meta"]["uuid"] for place in position.values() if isinstance(place, dict) and place["type"] == "CHART"
    }
    assert placed == charts.keys()
    for name, place in position.items():
        for child in place["children"] if isinstance(place, dict) and "children" in place else []:
            assert position[child]["parents"][-1] == name
    assert all(sum(chart.width for chart in row) == 12 for row in ROWS)


@pytest.mark.thorough
def test_every_metric_is_sql_that_the_mart_answers(exported: Warehouse) -> None:
    assert METRICS.keys() <= read_marts().keys()
    for mart in METRICS:
        metrics = ", ".join(metric.expression for metric in metrics_of(mart))
        assert len(exported.query(f"select {metrics} from marts.{mart}")) == 1
    (average,) = (each.expression for each in metrics_of("fct_orders") if each.name == "average_order_value")
    assert exported.query(f"select round({average}, 4) from marts.fct_orders") == exported.query(
        "select average_order_value from marts.tenant_overview where tenant_id = 'shelf'"
    )


def test_the_role_is_the_tenants_own_and_is_named_where_it_has_several(exported: Warehouse) -> None:
    with exported.database.connect() as connection:
        none = bi_roles_of(connection, "shelf")
    with pytest.raises(NoRoleError, match="`xeno tenant bi-role shelf` creates one"):
        choose_role("shelf", none, None)
    made = grant_bi_role(exported.database, "shelf").name
    with exported.database.connect() as connection:
        assert choose_role("shelf", bi_roles_of(connection, "shelf"), None) == made
        revoke_bi_role(connection, "shelf")
    assert choose_role("acme", ["one", "two"], "two") == "two"
    with pytest.raises(NoRoleError, match="acme has several roles for BI tools: give one of one, two as --role"):
        choose_role("acme", ["one", "two"], None)
    with pytest.raises(NoRoleError, match="acme has no role 'three': give one of one as --role"):
        choose_role("acme", ["one"], "three")
