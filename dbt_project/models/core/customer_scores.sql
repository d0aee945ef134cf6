{{
    config(
        unique_key=["tenant_id", "customer_id"],
        indexes=[{"columns": ["tenant_id", "rfm_segment"]}],
        meta={"stale": "tenants"},
    )
}}

with
    -- Tenant by tenant: a sort by the tenant too takes three times as long.
    scored as (
        select tenants.tenant_id, scores.*
        from {{ stale("tenants") }} tenants
        join {{ transform_scope() }} scope using (tenant_id)
        cross join
            lateral(
                select
                    customer_id,
                    {{
                        rfm_score(
                            "greatest(scope.as_of_date - last_order_on, 0) desc"
                        )
                    }} as recency_score,
                    {{ rfm_score("orders_count") }} as frequency_score,
                    {{ rfm_score("net_sales") }} as monetary_score
                from {{ ref("customers") }} customers
                where customers.tenant_id = tenants.tenant_id and orders_count > 0
            ) scores
    )

select
    tenant_id,
    customer_id,
    recency_score,
    frequency_score,
    monetary_score,
    cells.rfm_segment
from scored
join {{ ref("rfm_cells") }} cells using (recency_score, frequency_score, monetary_score)
