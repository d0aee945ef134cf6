select
    tenant_id,
    customer_id,
    figures.as_of_date,
    greatest(figures.as_of_date - customers.last_order_on, 0) as recency_days,
    customers.orders_count as frequency,
    customers.net_sales as monetary,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    concat(
        scores.recency_score, scores.frequency_score, scores.monetary_score
    ) as rfm_cell,
    scores.rfm_segment,
    coalesce(figures.rfm_is_meaningful, false) as rfm_is_meaningful
from {{ ref("int_customer_scores") }} scores
join {{ ref("int_customers") }} customers using (tenant_id, customer_id)
join {{ ref("int_tenant_figures") }} figures using (tenant_id)
