{{
    config(
        unique_key=["tenant_id", "cart_number"],
        indexes=[{"columns": ["tenant_id", "updated_at"]}],
        meta={"stale": "carts"},
    )
}}

with
    carts as (
        select carts.*, tenants.iana_timezone
        from {{ ref("stg_carts") }} carts
        join {{ stale("carts") }} stale_carts using (tenant_id, cart_number)
        join {{ ref("stg_tenants") }} tenants using (tenant_id)
        where carts.deleted_at is null
    )

select
    carts.tenant_id,
    carts.cart_number,
    carts.cart_id,
    {{
        plausible(
            "carts.created_at", "carts.iana_timezone", otherwise="carts.loaded_at"
        )
    }} as first_seen_at,
    {{
        plausible(
            "carts.updated_at", "carts.iana_timezone", otherwise="carts.loaded_at"
        )
    }} as updated_at,
    lines.line_count,
    lines.units,
    lines.value
from carts
cross join
    lateral(
        select
            count(*) as line_count,
            coalesce(sum((line ->> 'quantity')::bigint), 0)::bigint as units,
            coalesce(
                sum(
                    coalesce(
                        line -> 'line_price_set' -> 'shop_money' ->> 'amount',
                        line ->> 'line_price'
                    )::numeric
                ),
                0
            )::numeric(20, 4) as value
        from jsonb_array_elements(carts.lines) line
    ) lines
