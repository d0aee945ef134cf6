{{
    config(
        unique_key=["tenant_id", "variant_id"],
        indexes=[
            {"columns": ["tenant_id", "product_id"]},
        ],
    )
}}

select tenant_id, variant_id, product_id, title, sku, price, compare_at_price
from {{ ref("stg_product_variants") }}
where tenant_id in (select tenant_id from {{ transform_scope() }})
