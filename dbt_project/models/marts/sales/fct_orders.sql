{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "order_id"],
        indexes=[
            {"columns": ["tenant_id", "ordered_on"]},
            {"columns": ["tenant_id", "customer_id"]},
            {"columns": ["tenant_id", "checkout_token"]},
            {"columns": ["tenant_id", "cart_token"]},
        ],
        post_hook=[
            "{{ partial_index(this, 'redated', ['tenant_id', 'order_id'], 'is_redated') }}",
            "{{ partial_index(this, 'in_other_currency', ['tenant_id', 'currency', 'ordered_on'], 'is_in_other_currency') }}",
        ],
        meta={
            "stale": "renumbered_orders",
            "marks": {"customers": ["customer_id"], "days": ["ordered_on"]},
        },
    )
}}

with
    -- All orders of a customer are here where one of them is.
    orders as (
        select
            orders.*,
            true as is_there,
            orders.is_counted and orders.customer_id is not null as is_numbered
        from {{ ref("int_orders") }} orders
        join {{ stale("renumbered_orders") }} stale_orders using (tenant_id, order_id)
    ),

    numbered as (
        select
            *,
            row_number() over customers_orders as number,
            lag(ordered_on) over customers_orders as previous_on
        from orders
        window
            customers_orders as (
                partition by tenant_id, customer_id, is_counted
                order by ordered_at, order_id
            )
    ),

    lines as (
        select tenant_id, order_id, count(*) as line_count
        from {{ ref("stg_shopify__order_line_items") }}
        join {{ stale("renumbered_orders") }} stale_orders using (tenant_id, order_id)
        group by tenant_id, order_id
    ),

    sales as (
        select
            tenant_id,
            order_id,
            sum(gross_sales + discounts) filter (
                where reason = 'ORDER'
            ) as ordered_sales,
            bool_or(is_redated) as is_redated,
            sum(total_sales) filter (where reason = 'ORDER') as ordered_total,
            {{ sum_measures() }}
        from {{ ref("fct_sales") }}
        join {{ stale("renumbered_orders") }} stale_orders using (tenant_id, order_id)
        group by tenant_id, order_id
    )

select
    tenant_id,
    order_id,
    orders.order_name,
    orders.customer_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.currency,
    orders.presentment_currency,
    orders.financial_status,
    orders.fulfillment_status,
    orders.cancelled_at,
    orders.is_counted,
    case when orders.is_numbered then orders.number end as customer_order_number,
    orders.is_numbered and orders.number = 1 as is_first_order,
    orders.source_name,
    orders.country_code,
    orders.tags,
    orders.discount_codes,
    coalesce(lines.line_count, 0) as line_count,
    {{ select_measures("sales") }},
    coalesce(sales.ordered_sales, 0)::numeric(20, 4) as ordered_sales,
    coalesce(sales.ordered_total, 0)::numeric(20, 4) as ordered_total,
    {% for period in ["day", "week", "month", "quarter", "year"] %}
        orders.is_numbered
        and coalesce(
            date_trunc('{{ period }}', orders.previous_on::timestamp)
            < date_trunc('{{ period }}', orders.ordered_on::timestamp),
            true
        ) as is_first_of_{{ period }},
    {% endfor %}
    orders.checkout_token,
    orders.cart_token,
    orders.is_redated or coalesce(sales.is_redated, false) as is_redated,
    coalesce(orders.is_in_other_currency, false) as is_in_other_currency
-- Full joins, because the planner has no nested loops for them: see the strategy
-- `scoped`.
from numbered orders
full join lines using (tenant_id, order_id)
full join sales using (tenant_id, order_id)
where coalesce(orders.is_there, false)
