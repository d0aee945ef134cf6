{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "score"],
        meta={
            "stale": "tenants",
            "marks": {
                "score_bounds": [
                    "score",
                    "recency_last_order_on",
                    "recency_customer_id",
                    "frequency_orders_count",
                    "frequency_net_sales",
                    "frequency_customer_id",
                    "monetary_net_sales",
                    "monetary_customer_id",
                ]
            },
            "marks_by": "mark_scores",
        },
    )
}}

with
    tenants as (
        select
            tenant_id,
            scope.as_of_date,
            count(*) as buyers,
            count(*) filter (
                where customers.last_order_on < scope.as_of_date
            ) as earlier_buyers
        from {{ stale("tenants") }} stale_tenants
        join {{ transform_scope() }} scope using (tenant_id)
        join {{ ref("int_customers") }} customers using (tenant_id)
        where customers.orders_count > 0
        group by tenant_id, scope.as_of_date
    ),

    -- The first fifths are larger by one where the customers are no multiple of five.
    fifths as (
        select
            tenants.*,
            score,
            (score - 1) * (buyers / 5) + least(score - 1, buyers % 5) as lower_buyers
        from tenants
        cross join generate_series(2, 5) as score
    )

select
    fifths.tenant_id,
    fifths.score,
    {{ select_bound("recency") }},
    {{ select_bound("frequency") }},
    {{ select_bound("monetary") }}
from fifths
-- Orders of the future are of today, among which the id decides.
cross join
    lateral(
        {{
            customer_at(
                ["last_order_on"],
                "fifths.lower_buyers",
                "fifths.earlier_buyers",
                "last_order_on < fifths.as_of_date",
            )
        }}
        union all
        (
            select fifths.as_of_date, customer_id
            from {{ ref("int_customers") }} customers
            where
                customers.tenant_id = fifths.tenant_id
                and orders_count > 0
                and last_order_on >= fifths.as_of_date
                and fifths.lower_buyers >= fifths.earlier_buyers
            order by customer_id
            offset greatest(fifths.lower_buyers - fifths.earlier_buyers, 0)
            limit 1
        )
    ) recency
cross join
    lateral(
        {{
            customer_at(
                ["orders_count", "net_sales"], "fifths.lower_buyers", "fifths.buyers"
            )
        }}
    ) frequency
cross join
    lateral(
        {{ customer_at(["net_sales"], "fifths.lower_buyers", "fifths.buyers") }}
    ) monetary
where fifths.lower_buyers < fifths.buyers
