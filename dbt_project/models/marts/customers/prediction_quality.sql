select
    backtests.tenant_id,
    backtests.origin_on,
    backtests.horizon_days,
    backtests.fitted_on,
    'mbg_nbd+gamma_gamma' as model,
    backtests.parameters,
    backtests.is_at_bound,
    backtests.customers,
    backtests.repeat_customers,
    backtests.history_days,
    backtests.predicted_orders,
    backtests.actual_orders,
    backtests.predicted_orders / nullif(backtests.actual_orders, 0) - 1 as orders_error,
    backtests.predicted_net_sales,
    backtests.actual_net_sales,
    (
        case
            when backtests.actual_net_sales > 0
            then backtests.predicted_net_sales / backtests.actual_net_sales
        end
        - 1
    )::double precision as net_sales_error,
    backtests.auc,
    backtests.auc_recency,
    backtests.brier_skill,
    backtests.accuracy,
    backtests.hiatus_days,
    backtests.hiatus_accuracy,
    backtests.calibration,
    backtests.seasonal_factor,
    backtests.predicted_orders
    * backtests.seasonal_factor
    / nullif(backtests.actual_orders, 0)
    - 1 as seasonal_orders_error,
    {{ select_verdict() }}
from {{ source("predictions", "prediction_backtests") }} backtests
join
    {{ source("predictions", "prediction_fits") }} fits
    on fits.tenant_id = backtests.tenant_id
