{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "segment_id", "customer_id", "valid_from"],
        incremental_strategy="history",
        indexes=[{"columns": ["tenant_id", "customer_id"]}],
        meta={
            "stale": [
                "memberships",
                "customers",
                "orders",
                "high_value_bounds",
                "segments",
            ]
        },
    )
}}

-- The function that evaluates segments reads:
-- depends_on: {{ ref("dim_customers") }}
-- depends_on: {{ ref("int_customer_scores") }}
-- depends_on: {{ ref("int_checkouts") }}
-- depends_on: {{ ref("fct_order_lines") }}
-- What marks memberships, besides these:
-- depends_on: {{ ref("rfm_history") }}
{% set most_keys = 5000 %}

with
    segments as (
        select scope.tenant_id, scope.as_of_date, segments.segment_id
        from {{ transform_scope() }} scope
        join {{ source("ops", "segments") }} segments using (tenant_id)
        where scope.writes_history
    ),

    bounds as (
        select
            tenant_id,
            min(high_value_at_least) as lowest,
            max(high_value_at_least) as highest
        from {{ stale("high_value_bounds") }} stale_bounds
        where tenant_id in (select tenant_id from segments)
        group by tenant_id
        having count(*) > 1
    ),

    -- Customers who may have joined or left a segment that is itself as it was.
    customers as (
        select tenant_id, customer_id
        from {{ stale("customers") }} stale_customers
        union
        select tenant_id, customer_id
        from {{ stale("memberships") }} stale_memberships
        union
        select tenant_id, orders.customer_id
        from {{ stale("orders") }} stale_orders
        join {{ ref("fct_orders") }} orders using (tenant_id, order_id)
        where orders.customer_id is not null
        union
        select tenant_id, customers.customer_id
        from bounds
        join {{ ref("int_customers") }} customers using (tenant_id)
        where customers.net_sales between bounds.lowest and bounds.highest
    ),

    due_customers as (
        select
            tenant_id,
            array_agg(customer_id) as customer_ids,
            count(*) > {{ most_keys }} as are_many
        from customers
        where tenant_id in (select tenant_id from segments)
        group by tenant_id
    ),

    due as (
        select
            tenant_id,
            as_of_date,
            segment_id,
            stale_segments.segment_id is not null or due_customers.are_many as is_whole,
            due_customers.customer_ids
        from segments
        left join {{ stale("segments") }} stale_segments using (tenant_id, segment_id)
        left join due_customers using (tenant_id)
        where
            stale_segments.segment_id is not null
            or due_customers.customer_ids is not null
    ),

    evaluations as (
        select
            tenant_id,
            as_of_date,
            array_agg(segment_id) as segment_ids,
            case when not is_whole then customer_ids end as customer_ids
        from due
        group by tenant_id, as_of_date, is_whole, customer_ids
    ),

    found as materialized(
        select
            evaluations.tenant_id,
            matching.segment_id,
            matching.customer_id,
            matching.net_sales,
            matching.orders_count,
            matching.rfm_segment
        from evaluations
        cross join
            lateral ops.matching_segments(
                evaluations.tenant_id,
                evaluations.as_of_date,
                evaluations.segment_ids,
                evaluations.customer_ids
            ) matching
    ),

    -- Of a segment that could not be evaluated, the members stay as they were.
    evaluated as (
        select tenant_id, segment_id, is_whole
        from due
        where
            (tenant_id, segment_id)
            not in (select tenant_id, segment_id from found where customer_id is null)
    ),

    members as (
        select found.*, true as is_there
        from found
        join evaluated using (tenant_id, segment_id)
    ),

    -- Two branches, so that few customers are looked up by their index.
    recorded as (
        {% if flags.WHICH == "compile" or is_incremental() %}
            select tenant_id, segment_id, history.customer_id, true as is_there
            from evaluated
            join {{ this }} history using (tenant_id, segment_id)
            where evaluated.is_whole and history.valid_to is null
            union all
            select tenant_id, history.segment_id, customer_id, true as is_there
            from customers
            join {{ this }} history using (tenant_id, customer_id)
            where
                history.valid_to is null
                and (tenant_id, history.segment_id)
                in (select tenant_id, segment_id from evaluated where not is_whole)
        {% else %}
            select tenant_id, segment_id, customer_id, is_there from members where false
        {% endif %}
    ),

    changed as materialized(
        select
            tenant_id,
            segment_id,
            customer_id,
            scope.as_of_date,
            members.is_there,
            members.net_sales,
            members.orders_count,
            members.rfm_segment
        from members
        full join recorded using (tenant_id, segment_id, customer_id)
        join {{ transform_scope() }} scope using (tenant_id)
        where members.is_there is distinct from recorded.is_there
    )

-- Who joined, and who left: without values. Who left and joins again on the same day
-- never left.
select
    changed.tenant_id,
    changed.segment_id,
    changed.customer_id,
    changed.as_of_date as valid_from,
    null::date as valid_to,
    coalesce(left_today.net_sales, changed.net_sales) as net_sales,
    coalesce(left_today.orders_count, changed.orders_count) as orders_count,
    case
        when left_today.customer_id is not null
        then left_today.rfm_segment
        else changed.rfm_segment
    end as rfm_segment
from changed
-- By the key alone: a join of a subquery could be repeated for each row.
left join
    lateral(
        {% if flags.WHICH == "compile" or is_incremental() %}
            select history.*
            from {{ this }} history
            where
                history.tenant_id = changed.tenant_id
                and history.segment_id = changed.segment_id
                and history.customer_id = changed.customer_id
                and history.valid_to >= changed.as_of_date
                and changed.is_there
        {% else %}select changed.* where false
        {% endif %}
    ) left_today
    on true
