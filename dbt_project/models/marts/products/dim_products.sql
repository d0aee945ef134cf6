{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "product_id"],
        meta={"stale": "products"},
    )
}}

with
    products as (
        select
            products.*,
            {{ plausible("products.created_at", "tenants.iana_timezone") }}
            as first_made_at,
            true as is_there
        from {{ ref("stg_shopify__products") }} products
        join {{ stale("products") }} stale_products using (tenant_id, product_id)
        join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
    ),

    variants as (
        select
            tenant_id,
            product_id,
            count(*) as variants_count,
            min(price) as min_price,
            max(price) as max_price
        from {{ ref("stg_shopify__product_variants") }}
        join {{ stale("products") }} stale_products using (tenant_id, product_id)
        group by tenant_id, product_id
    )

select
    tenant_id,
    product_id,
    products.title,
    products.vendor,
    products.product_type,
    products.status,
    coalesce(variants.variants_count, 0) as variants_count,
    variants.min_price,
    variants.max_price,
    products.first_made_at as created_at,
    products.deleted_at is not null as is_deleted
-- A full join, because the planner has no nested loop for it: see the strategy
-- `scoped`.
from products
full join variants using (tenant_id, product_id)
where coalesce(products.is_there, false)
