{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "product_id", "variant_id", "month"],
        meta={"stale": "product_months"},
    )
}}

select
    tenant_id,
    product_id,
    coalesce(variant_id, 0) as variant_id,
    happened_month as month,
    count(*) filter (where is_first_of_product) as orders,
    sum(units)::bigint as units,
    sum(gross_sales)::numeric(20, 4) as gross_sales,
    sum(discounts)::numeric(20, 4) as discounts,
    sum(returns)::numeric(20, 4) as returns,
    sum(net_sales)::numeric(20, 4) as net_sales,
    sum(taxes)::numeric(20, 4) as taxes
from {{ ref("fct_sales") }}
join {{ stale("product_months") }} stale_months using (tenant_id, product_id)
where happened_month = stale_months.month and line_type = 'PRODUCT'
group by tenant_id, product_id, variant_id, happened_month
