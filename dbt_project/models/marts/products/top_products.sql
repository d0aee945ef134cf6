with
    variants as (
        select
            tenant_id,
            product_id,
            variant_id,
            sum(units) as units,
            sum(orders) as orders,
            sum(gross_sales) as gross_sales,
            sum(net_sales) as net_sales
        from {{ ref("int_product_months") }}
        group by tenant_id, product_id, variant_id
    ),

    products as (
        select
            tenant_id,
            product_id,
            (array_agg(variant_id order by units desc, net_sales desc, variant_id))[
                1
            ] as best_variant_id,
            sum(units)::bigint as units,
            sum(orders)::bigint as orders,
            sum(gross_sales)::numeric(20, 4) as gross_sales,
            sum(net_sales)::numeric(20, 4) as net_sales
        from variants
        group by tenant_id, product_id
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by tenant_id order by net_sales desc, product_id
            ) as rank
        from products
    )

select
    ranked.tenant_id,
    ranked.rank,
    ranked.product_id,
    variants.sku,
    products.title,
    ranked.units,
    ranked.orders,
    ranked.gross_sales,
    ranked.net_sales
from ranked
left join
    {{ ref("dim_products") }} products
    on products.tenant_id = ranked.tenant_id
    and products.product_id = ranked.product_id
left join
    {{ ref("dim_product_variants") }} variants
    on variants.tenant_id = ranked.tenant_id
    and variants.variant_id = ranked.best_variant_id
where ranked.rank <= 100
