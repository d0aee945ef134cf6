{{ config(unique_key=["tenant_id", "product_id"]) }}

with
    products as (
        select *
        from {{ ref("stg_products") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
    ),

    variants as (
        select
            tenant_id,
            product_id,
            count(*) as variants_count,
            min(price) as min_price,
            max(price) as max_price
        from {{ ref("stg_product_variants") }}
        where tenant_id in (select tenant_id from {{ transform_scope() }})
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
    products.created_at,
    products.deleted_at is not null as is_deleted
from products
left join variants using (tenant_id, product_id)
