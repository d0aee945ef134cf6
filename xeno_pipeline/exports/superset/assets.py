"""The parts of a bundle as Superset imports them: a database, its datasets, charts, a dashboard.

Their forms are those of Superset 6.1, `superset/*/schemas.py`. Identifiers are made from names, so that another import
replaces what the first one made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from xeno_pipeline.database.roles import Address
from xeno_pipeline.exports.contract import Column, Mart

VERSION = "1.0.0"
"""Of the format: https://superset.apache.org/docs/configuration/importing-exporting-datasources"""

_HIDDEN_PASSWORD = "XXXXXXXXXX"  # noqa: S105 - Superset's mask: whoever imports is asked for the password
_DATES = ("date", "timestamptz")

Asset = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A figure over the rows of a dataset.

    Args:
        name: as in charts.
        expression: in SQL.
        title: as a person reads it.
        d3format: how it is written; https://d3js.org/d3-format.
        is_money: whether it is in the shop's currency.
    """

    name: str
    expression: str
    title: str
    d3format: str = ",d"
    is_money: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart, and its place.

    Args:
        title: above it.
        mart: what it is drawn from.
        kind: Superset's `viz_type`.
        width: in twelfths of the page.
        height: in Superset's units of 8 pixels.
        parameters: Superset's, of its kind.
    """

    title: str
    mart: str
    kind: str
    width: int
    height: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """Identifiers of a tenant's assets, the same at each export."""

    tenant_id: str

    def uuid(self, kind: str, name: str = "") -> str:
        """The UUID of an asset."""
        return str(uuid5(NAMESPACE_URL, f"xeno-pipeline/{self.tenant_id}/{kind}/{name}"))


def database_asset(names: Names, title: str, address: Address, role: str) -> Asset:
    """The database, as the tenant's own role without its password."""
    return {
        "database_name": title,
        "sqlalchemy_uri": address.url(role, _HIDDEN_PASSWORD).replace("postgresql:", "postgresql+psycopg2:", 1),
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"schemas_allowed_for_file_upload": []},
        "uuid": names.uuid("database"),
        "version": VERSION,
    }


def dataset_asset(names: Names, mart: Mart, metrics: Sequence[Metric], currency: str) -> Asset:
    """A mart, with the descriptions of the contract."""
    return {
        "table_name": mart.name,
        "main_dttm_col": mart.dated_by.name if mart.dated_by else None,
        "description": mart.description,
        "schema": "marts",
        "sql": None,
        "filter_select_enabled": True,
        "columns": [_column(column) for column in mart.columns],
        "metrics": [_metric(metric, currency) for metric in metrics],
        "uuid": names.uuid("dataset", mart.name),
        "database_uuid": names.uuid("database"),
        "version": VERSION,
    }


def chart_asset(names: Names, chart: Chart) -> Asset:
    """A chart of a dataset."""
    return {
        "slice_name": chart.title,
        "viz_type": chart.kind,
        "params": {"viz_type": chart.kind, **chart.parameters},
        "cache_timeout": None,
        "uuid": names.uuid("chart", chart.title),
        "dataset_uuid": names.uuid("dataset", chart.mart),
        "version": VERSION,
    }


def dashboard_asset(names: Names, title: str, rows: Sequence[Sequence[Chart]]) -> Asset:
    """A dashboard of rows of charts, with a filter for the span of time."""
    return {
        "dashboard_title": title,
        "slug": f"xeno-{names.tenant_id}",
        "css": "",
        "position": _layout(names, title, rows),
        "metadata": {"native_filter_configuration": [_time_filter(names)], "cross_filters_enabled": True},
        "published": True,
        "uuid": names.uuid("dashboard"),
        "version": VERSION,
    }


def _column(column: Column) -> Asset:
    return {
        "column_name": column.name,
        "type": column.type.upper(),
        "is_dttm": column.type in _DATES,
        "is_active": True,
        "groupby": True,
        "filterable": True,
        "description": column.description,
    }


def _metric(metric: Metric, currency: str) -> Asset:
    money = {"currency": {"symbol": currency, "symbolPosition": "suffix"}} if metric.is_money else {}
    return {
        "metric_name": metric.name,
        "verbose_name": metric.title,
        "expression": metric.expression,
        "d3format": metric.d3format,
        **money,
    }


def _layout(names: Names, title: str, rows: Sequence[Sequence[Chart]]) -> Asset:
    """Superset's tree of a dashboard; the ids of charts are replaced by the import, which goes by their UUIDs."""
    row_ids = [f"ROW-{number}" for number in range(len(rows))]
    position: Asset = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": row_ids, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
    }
    for row_id, row in zip(row_ids, rows, strict=True):
        places = {f"CHART-{names.uuid('chart', chart.title)[:8]}": chart for chart in row}
        position[row_id] = {
            "type": "ROW",
            "id": row_id,
            "children": list(places),
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for place, chart in places.items():
            position[place] = {
                "type": "CHART",
                "id": place,
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {
                    "chartId": len(position),
                    "width": chart.width,
                    "height": chart.height,
                    "sliceName": chart.title,
                    "uuid": names.uuid("chart", chart.title),
                },
            }
    return position


def _time_filter(names: Names) -> Asset:
    return {
        "id": f"NATIVE_FILTER-{names.uuid('filter')[:8]}",
        "type": "NATIVE_FILTER",
        "filterType": "filter_time",
        "name": "Days",
        "targets": [{}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "cascadeParentIds": [],
        "controlValues": {},
        "defaultDataMask": {"extraFormData": {}, "filterState": {"value": None}},
        "description": "Days in the shop's time zone; none shows all.",
    }
