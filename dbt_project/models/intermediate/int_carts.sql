{{
    config(
        materialized="incremental",
        unique_key=["tenant_id", "cart_number"],
        indexes=[{"columns": ["tenant_id", "updated_at"]}],
        post_hook="{{ partial_index(this, 'in_other_currency', ['tenant_id', 'updated_at'], 'is_in_other_currency') }}",
        meta={"stale": "carts"},
    )
}}

with
    carts as (
        select carts.*, tenants.iana_timezone, tenants.currency as shop_currency
        from {{ ref("stg_shopify__carts") }} carts
        join {{ stale("carts") }} stale_carts using (tenant_id, cart_number)
        join {{ ref("stg_ops__tenants") }} tenants using (tenant_id)
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
    lines.value,
    lines.is_in_other_currency
from carts
cross join
    lateral(
        select
            count(*) as line_count,
            coalesce(sum((line ->> 'quantity')::bigint), 0)::bigint as units,
            coalesce(
                bool_or(money ->> 'currency_code' <> carts.shop_currency), false
            ) as is_in_other_currency,
            case
                when
                    bool_or(
                        money ->> 'currency_code' <> carts.shop_currency
                        or coalesce(money ->> 'amount', line ->> 'line_price') is null
                    )
                then null
                else
                    coalesce(
                        sum(
                            coalesce(money ->> 'amount', line ->> 'line_price')::numeric
                        ),
                        0
                    )
            end::numeric(20, 4) as value
        from (select jsonb_array_elements(carts.lines) as line) elements
        cross join
            lateral(select line -> 'line_price_set' -> 'shop_money' as money) shop
    ) lines
