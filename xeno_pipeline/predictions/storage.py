"""Writing a tenant's fit into the tables that SQL predicts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
from psycopg import sql

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.predictions.backtest import HORIZON, Backtest
from xeno_pipeline.predictions.fit import Fit
from xeno_pipeline.predictions.order_days import date_of
from xeno_pipeline.predictions.purchases import PurchaseModel
from xeno_pipeline.predictions.values import ValueModel

_TABLES = ("prediction_fits", "prediction_curves", "prediction_backtests")
_MOST_MONEY = 1e15
"""What numeric(20, 4) holds, and a sum that exceeds it is no forecast."""


def store_fit(connection: Connection, tenant_id: str, fit: Fit, digest: str, kept_share: float | None) -> None:
    """Replace what is stored of a tenant, in the caller's transaction."""
    for table in _TABLES:
        connection.execute(
            sql.SQL("delete from intermediate.{} where tenant_id = %s").format(sql.Identifier(table)), [tenant_id]
        )
    _insert(connection, "prediction_fits", {"tenant_id": tenant_id, "digest": digest, **_fit_row(fit, kept_share)})
    for backtest in fit.backtests:
        _insert(connection, "prediction_backtests", {"tenant_id": tenant_id, **_backtest_row(backtest, fit)})
    if fit.curves:
        soon, year = fit.curves
        rows = np.hstack([soon.coefficients, year.coefficients]).tolist()
        with connection.cursor().copy("copy intermediate.prediction_curves from stdin") as copy:
            for repeats, piece, row in zip(soon.repeats.tolist(), soon.piece.tolist(), rows, strict=True):
                copy.write_row((tenant_id, repeats, piece, *row))


def _fit_row(fit: Fit, kept_share: float | None) -> dict[str, Any]:
    newest = fit.newest_backtest
    return {
        "fitted_on": date_of(fit.fitted_on),
        "customers": fit.known.customers,
        "repeat_customers": fit.known.repeat_customers,
        "history_days": fit.known.history_days,
        **_parameters(fit.model, fit.values),
        "is_at_bound": fit.model is not None and fit.model.is_at_bound,
        "most_repeats": int(fit.curves[0].repeats[-1]) if fit.curves else None,
        "value_correlation": fit.correlation,
        "kept_share": kept_share,
        "auc": newest.auc,
        "auc_recency": newest.auc_recency,
        "brier_skill": newest.brier_skill,
        "worst_orders_error": fit.worst_orders_error,
        "seasonal_factor": fit.seasonal_factors.get(fit.fitted_on),
    }


def _backtest_row(backtest: Backtest, fit: Fit) -> dict[str, Any]:
    parameters = _parameters(backtest.model, backtest.values)
    return {
        "origin_on": date_of(backtest.origin),
        "fitted_on": date_of(fit.fitted_on),
        "horizon_days": HORIZON,
        "parameters": orjson.dumps(parameters).decode() if parameters else None,
        "is_at_bound": backtest.model and backtest.model.is_at_bound,
        "customers": backtest.customers,
        "repeat_customers": backtest.repeat_customers,
        "history_days": backtest.history_days,
        "predicted_orders": backtest.predicted_orders,
        "actual_orders": backtest.actual_orders,
        "predicted_net_sales": _money(backtest.predicted_sales),
        "actual_net_sales": _money(backtest.actual_sales),
        "auc": backtest.auc,
        "auc_recency": backtest.auc_recency,
        "brier_skill": backtest.brier_skill,
        "accuracy": backtest.accuracy,
        "hiatus_days": backtest.hiatus_days,
        "hiatus_accuracy": backtest.hiatus_accuracy,
        "calibration": orjson.dumps([asdict(fifth) for fifth in backtest.calibration]).decode()
        if backtest.calibration
        else None,
        "seasonal_factor": fit.seasonal_factors.get(backtest.origin),
    }


def _parameters(model: PurchaseModel | None, values: ValueModel | None) -> dict[str, float]:
    found: dict[str, float] = {}
    if model:
        found |= {name: getattr(model, name) for name in ("r", "alpha", "a", "b", "log_likelihood")}
    if values:
        found |= {"p": values.p, "q": values.q, "v": values.v, "value_log_likelihood": values.log_likelihood}
    return found


def _money(amount: float | None) -> float | None:
    return None if amount is None or abs(amount) >= _MOST_MONEY else amount


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    statement = sql.SQL("insert into intermediate.{} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(name) for name in row),
        sql.SQL(", ").join(sql.Placeholder(name) for name in row),
    )
    connection.execute(statement, row)
