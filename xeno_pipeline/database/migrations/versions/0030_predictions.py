"""What is fitted of each tenant's customers: the models, their polynomials and their backtests.

Revision: 0030
"""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FITS = """
create table intermediate.prediction_fits (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    fitted_on date not null,
    digest text not null,
    is_stale boolean not null default false,
    customers bigint not null,
    repeat_customers bigint not null,
    history_days integer not null,
    r double precision,
    alpha double precision,
    a double precision,
    b double precision,
    log_likelihood double precision,
    is_at_bound boolean not null default false,
    most_repeats bigint,
    p double precision,
    q double precision,
    v double precision,
    value_log_likelihood double precision,
    value_correlation double precision,
    kept_share double precision,
    auc double precision,
    auc_recency double precision,
    brier_skill double precision,
    worst_orders_error double precision,
    seasonal_factor double precision
)
"""

CURVES = """
create table intermediate.prediction_curves (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    repeats bigint not null,
    ceiling_90d double precision not null,
    coefficients_90d double precision[] not null,
    ceiling_365d double precision not null,
    coefficients_365d double precision[] not null,
    primary key (tenant_id, repeats)
)
"""

BACKTESTS = """
create table intermediate.prediction_backtests (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    origin_on date not null,
    fitted_on date not null,
    horizon_days integer not null,
    parameters jsonb,
    is_at_bound boolean,
    customers bigint not null,
    repeat_customers bigint not null,
    history_days integer not null,
    predicted_orders double precision,
    actual_orders bigint,
    predicted_net_sales numeric(20, 4),
    actual_net_sales numeric(20, 4),
    auc double precision,
    auc_recency double precision,
    brier_skill double precision,
    accuracy double precision,
    hiatus_days integer,
    hiatus_accuracy double precision,
    calibration jsonb,
    seasonal_factor double precision,
    primary key (tenant_id, origin_on)
)
"""

COMMENTS = {
    "intermediate.prediction_fits": (
        "One row per tenant: its models of who orders again, fitted once a week. Written by xeno_pipeline.predictions.",
        {
            "tenant_id": "Handle of the tenant.",
            "fitted_on": "Monday in the shop's time zone: orders of days before it were taken into account.",
            "digest": "Of what the models were fitted on: the same digest, the same models.",
            "is_stale": "Whether something before fitted_on may have changed since: the next fit looks.",
            "customers": "Customers with a counted order before fitted_on.",
            "repeat_customers": "Those of them with counted orders on more than one day.",
            "history_days": "Days from the first counted order to fitted_on.",
            "r": "MBG/NBD: shape of the distribution of rates; null with fewer than ten repeat customers.",
            "alpha": "MBG/NBD: its scale, in days.",
            "a": "MBG/NBD: first parameter of the distribution of dropout.",
            "b": "MBG/NBD: second parameter of the distribution of dropout.",
            "log_likelihood": "MBG/NBD: of the data, with time in days.",
            "is_at_bound": "Whether a parameter is at its bound, so that the probability of being alive says nothing.",
            "most_repeats": "The most repeats that there is a polynomial for.",
            "p": "Gamma-Gamma: shape of a customer's values; null where the model has no finite mean.",
            "q": "Gamma-Gamma: shape of the distribution of means.",
            "v": "Gamma-Gamma: its scale, in the shop's currency.",
            "value_log_likelihood": "Gamma-Gamma: of the mean values.",
            "value_correlation": "Correlation of how often and how much repeat customers buy.",
            "kept_share": "Net sales as a share of sales as ordered, over the 52 weeks before fitted_on.",
            "auc": "Of the newest backtest: see prediction_backtests.",
            "auc_recency": "Of the newest backtest: see prediction_backtests.",
            "brier_skill": "Of the newest backtest: see prediction_backtests.",
            "worst_orders_error": "Largest error of the orders that the last four backtests predicted, as a fraction.",
            "seasonal_factor": "Actual as a multiple of predicted orders in the 90 days that began 52 weeks ago.",
        },
    ),
    "intermediate.prediction_curves": (
        "One row per tenant and number of repeats: polynomials for the expected orders of a customer who is alive.",
        {
            "tenant_id": "Handle of the tenant.",
            "repeats": "Days with a counted order after the first.",
            "ceiling_90d": "The largest y = ln(1 + 90 / (alpha + age in days)).",
            "coefficients_90d": "Of 1, s, s², ... with s = 2 y / ceiling - 1: expected orders in 90 days over y.",
            "ceiling_365d": "The largest y = ln(1 + 365 / (alpha + age in days)).",
            "coefficients_365d": "Of 1, s, s², ... with s = 2 y / ceiling - 1: expected orders in 365 days over y.",
        },
    ),
    "intermediate.prediction_backtests": (
        "One row per tenant and backtest of its newest fit.",
        {
            "tenant_id": "Handle of the tenant.",
            "origin_on": "First day predicted; the models know what lies before it.",
            "fitted_on": "The day of the fit that it belongs to.",
            "horizon_days": "Days predicted.",
            "parameters": "Of the models fitted on what was known then; null with too little history.",
            "is_at_bound": "Whether a parameter of them is at its bound.",
            "customers": "Customers with a counted order before the origin.",
            "repeat_customers": "Those of them with counted orders on more than one day.",
            "history_days": "Days from the first counted order to the origin.",
            "predicted_orders": "Predicted days with a counted order of these customers within the horizon.",
            "actual_orders": "Actual days with a counted order.",
            "predicted_net_sales": "Predicted net sales of these customers within the horizon.",
            "actual_net_sales": "Actual net sales.",
            "auc": "Area under the ROC curve of the probability of an order.",
            "auc_recency": "Area under the ROC curve of the days since the last order alone.",
            "brier_skill": "Fraction by which squared errors are smaller than those of the share of all.",
            "accuracy": "Share of customers for whom it was right to expect an order where one is more probable.",
            "hiatus_days": "The number of days for which the rule 'ordered within so many days' was right most often.",
            "hiatus_accuracy": "Share of customers that this rule was right for.",
            "calibration": "Customers, mean probability and actual share by fifths of the probability.",
            "seasonal_factor": "Actual as a multiple of predicted orders in the same 90 days a year (52 weeks) before.",
        },
    ),
}


def upgrade() -> None:
    for table in (FITS, CURVES, BACKTESTS):
        op.execute(table)
    for relation, (comment, columns) in COMMENTS.items():
        op.execute(f"comment on table {relation} is {_quoted(comment)}")
        for column, text in columns.items():
            op.execute(f"comment on column {relation}.{column} is {_quoted(text)}")
        op.execute(f"select ops.secure('{relation}'::regclass)")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
