{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "variant_id"],
        indexes=[{"columns": ["tenant_id", "product_id"]}],
        meta={"stale": "products"},
    )
}}

select tenant_id, variant_id, product_id, title, sku, price, compare_at_price
from {{ ref("stg_shopify__product_variants") }}
join {{ stale("products") }} stale_products using (tenant_id, product_id)
