{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "customer_id"],
        post_hook=[
            "{{ sort_indexes(this, ['net_sales', 'orders_count', 'last_order_at', 'first_order_at', 'created_at'], 'customer_id') }}",
            "{{ score_indexes(this) }}",
        ],
        meta={"stale": "customers", "marks": {"tenants": []}},
    )
}}

with
    profiles as (
        select
            customers.*,
            {{ plausible("customers.created_at", "tenants.iana_timezone") }}
            as registered_at,
            tenants.iana_timezone,
            true as has_profile
        from {{ ref("stg_shopify__customers") }} customers
        join {{ stale("customers") }} stale_customers using (tenant_id, customer_id)
        join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
        where customers.deleted_at is null
    ),

    placed as (
        select
            orders.*,
            min(ordered_on) filter (where is_counted) over (
                partition by tenant_id, customer_id
            ) as first_on
        from {{ ref("fct_orders") }} orders
        join {{ stale("customers") }} stale_customers using (tenant_id, customer_id)
    ),

    orders as (
        select
            tenant_id,
            customer_id,
            min(ordered_at) filter (where is_counted) as first_order_at,
            max(ordered_at) filter (where is_counted) as last_order_at,
            min(ordered_on) filter (where is_counted) as first_order_on,
            max(ordered_on) filter (where is_counted) as last_order_on,
            count(*) filter (where is_counted) as orders_count,
            count(*) filter (
                where is_counted and not is_in_other_currency
            ) as priced_orders,
            coalesce(sum(ordered_sales) filter (where is_counted), 0) as ordered_sales,
            count(*) filter (where is_first_of_day) as order_days,
            count(distinct ordered_on) filter (
                where is_counted and not is_in_other_currency and ordered_on > first_on
            ) as valued_repeats,
            coalesce(
                sum(ordered_sales) filter (where is_counted and ordered_on > first_on),
                0
            ) as repeat_sales,
            count(*) as all_orders,
            {{ sum_measures() }}
        from placed
        group by tenant_id, customer_id
    )

select
    tenant_id,
    customer_id,
    coalesce(profiles.has_profile, false) as has_profile,
    profiles.email,
    profiles.phone,
    profiles.first_name,
    profiles.last_name,
    profiles.country_code,
    profiles.registered_at as created_at,
    (profiles.registered_at at time zone profiles.iana_timezone)::date as created_on,
    profiles.locale as language,
    profiles.state as account_status,
    profiles.email_subscription_status,
    profiles.tags,
    profiles.shopify_rfm_group,
    orders.first_order_at,
    orders.last_order_at,
    orders.first_order_on,
    orders.last_order_on,
    date_trunc('month', orders.first_order_on::timestamp)::date as cohort_month,
    coalesce(orders.orders_count, 0) as orders_count,
    coalesce(orders.priced_orders, 0) as priced_orders,
    coalesce(orders.ordered_sales, 0)::numeric(20, 4) as ordered_sales,
    {{ select_measures("orders") }},
    coalesce(orders.all_orders, 0) as all_orders,
    profiles.number_of_orders as orders_at_shopify,
    coalesce(orders.order_days, 0) as order_days,
    coalesce(orders.valued_repeats, 0) as valued_repeats,
    coalesce(orders.repeat_sales, 0)::numeric(20, 4) as repeat_sales
from profiles
full join orders using (tenant_id, customer_id)
