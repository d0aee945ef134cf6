{{
    config(
        unique_key=["tenant_id", "sale_id"],
        indexes=[
            {"columns": ["tenant_id", "happened_on"]},
            {"columns": ["tenant_id", "order_id"]},
            {"columns": ["tenant_id", "customer_id"]},
        ],
    )
}}

select
    tenant_id,
    sale_id,
    order_id,
    customer_id,
    order_line_id,
    happened_at,
    happened_on,
    reason,
    action_type,
    line_type,
    quantity,
    {{ select_measures("sales") }},
    is_counted
from {{ ref("int_sales") }} sales
where tenant_id in (select tenant_id from {{ transform_scope() }})
