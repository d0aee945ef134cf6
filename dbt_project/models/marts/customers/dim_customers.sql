select
    customers.tenant_id,
    customers.customer_id,
    customers.email,
    customers.phone,
    customers.first_name,
    customers.last_name,
    customers.country_code,
    customers.created_at,
    customers.first_order_at,
    customers.last_order_at,
    customers.first_order_on,
    customers.last_order_on,
    customers.cohort_month,
    customers.orders_count,
    {{ select_measures("customers") }},
    (customers.ordered_sales / nullif(customers.priced_orders, 0))::numeric(
        20, 4
    ) as average_order_value,
    case
        when customers.last_order_on is not null
        then greatest(figures.as_of_date - customers.last_order_on, 0)
    end as days_since_last_order,
    (
        extract(epoch from customers.last_order_at - customers.first_order_at)
        / 86400
        / nullif(customers.orders_count - 1, 0)
    )::numeric(20, 4) as average_days_between_orders,
    coalesce(
        customers.orders_count > 0
        and customers.net_sales > 0
        and customers.net_sales >= figures.high_value_at_least,
        false
    ) as is_high_value,
    coalesce(figures.as_of_date - customers.last_order_on > 90, false) as is_churn_risk,
    case
        when
            customers.orders_count >= 5
            and figures.as_of_date - customers.last_order_on > 90
        then 'HIGH_VALUE_CHURN_RISK'
        when customers.orders_count >= 5
        then 'HIGH_VALUE_ACTIVE'
        when
            customers.orders_count = 1
            and figures.as_of_date - customers.last_order_on < 30
        then 'NEW_CUSTOMER'
        else 'STANDARD'
    end as churn_segment,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    scores.rfm_segment,
    customers.shopify_rfm_group,
    customers.created_on,
    customers.language,
    customers.account_status,
    customers.email_subscription_status,
    customers.tags,
    -- A subquery costs nothing where nobody asks for it.
    (
        select max(checkouts.abandoned_on)
        from {{ ref("int_checkouts") }} checkouts
        where
            checkouts.tenant_id = customers.tenant_id
            and checkouts.customer_id = customers.customer_id
    ) as last_abandoned_on,
    coalesce(figures.rfm_is_meaningful, false) as rfm_is_meaningful,
    {{ select_predictions() }}
from {{ ref("int_customers") }} customers
join {{ ref("int_tenant_figures") }} figures using (tenant_id)
left join
    {{ ref("int_customer_scores") }} scores using (tenant_id, customer_id)
    {{ join_predictions() }}
where customers.has_profile
