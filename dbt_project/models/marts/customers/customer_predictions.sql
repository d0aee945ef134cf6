select
    customers.tenant_id,
    customers.customer_id,
    figures.as_of_date,
    fits.fitted_on,
    {{ select_predictions() }},
    {{ select_verdict() }}
from {{ ref("int_customers") }} customers
join {{ ref("int_tenant_figures") }} figures using (tenant_id) {{ join_predictions() }}
where customers.orders_count > 0
