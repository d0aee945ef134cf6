{{
    config(
        unique_key=["tenant_id", "customer_id"],
        indexes=[
            {"columns": ["tenant_id", "last_order_on"]},
            {"columns": ["tenant_id", "rfm_segment"]},
        ],
    )
}}

with
    customers as (
        select customers.*, scope.as_of_date
        from {{ ref("stg_customers") }} customers
        join {{ transform_scope() }} scope on scope.tenant_id = customers.tenant_id
        where customers.deleted_at is null
    ),

    metrics as (
        select *
        from {{ ref("int_customers") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    high_value as (
        select
            tenant_id,
            percentile_cont(0.9) within group (order by net_sales) as at_least
        from metrics
        where orders_count > 0
        group by tenant_id
    ),

    scores as (
        select
            tenant_id,
            customer_id,
            recency_score,
            frequency_score,
            monetary_score,
            rfm_segment
        from {{ ref("rfm_scores") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    aged as (
        select
            tenant_id,
            customer_id,
            greatest(as_of_date - last_order_on, 0) as days_since_last_order
        from customers
        join metrics using (tenant_id, customer_id)
    )

select
    tenant_id,
    customer_id,
    customers.email,
    customers.phone,
    customers.first_name,
    customers.last_name,
    customers.country_code,
    customers.created_at,
    metrics.first_order_at,
    metrics.last_order_at,
    metrics.first_order_on,
    metrics.last_order_on,
    metrics.cohort_month,
    coalesce(metrics.orders_count, 0) as orders_count,
    {{ select_measures("metrics") }},
    metrics.average_order_value::numeric(20, 4) as average_order_value,
    aged.days_since_last_order,
    metrics.average_days_between_orders::numeric(20, 4) as average_days_between_orders,
    coalesce(
        coalesce(metrics.net_sales, 0) >= high_value.at_least, false
    ) as is_high_value,
    coalesce(aged.days_since_last_order > 90, false) as is_churn_risk,
    case
        when metrics.orders_count >= 5 and aged.days_since_last_order > 90
        then 'HIGH_VALUE_CHURN_RISK'
        when metrics.orders_count >= 5
        then 'HIGH_VALUE_ACTIVE'
        when metrics.orders_count = 1 and aged.days_since_last_order < 30
        then 'NEW_CUSTOMER'
        else 'STANDARD'
    end as churn_segment,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    scores.rfm_segment,
    customers.shopify_rfm_group
from customers
left join metrics using (tenant_id, customer_id)
left join aged using (tenant_id, customer_id)
left join scores using (tenant_id, customer_id)
left join high_value using (tenant_id)
