{{ config(materialized="view") }}

-- Subqueries, not CTEs: PostgreSQL plans a view that has a WITH clause by itself, for
-- all its rows, before it joins the few orders that a transform is about.
select
    tenant_id,
    sale_id,
    order_id,
    customer_id,
    is_counted,
    order_line_id,
    product_id,
    variant_id,
    happened_at,
    happened_on,
    is_redated,
    reason,
    action_type,
    line_type,
    quantity,
    is_known,
    units::bigint as units,
    gross_sales::numeric(20, 4) as gross_sales,
    discounts::numeric(20, 4) as discounts,
    returns::numeric(20, 4) as returns,
    (gross_sales + discounts + returns)::numeric(20, 4) as net_sales,
    shipping::numeric(20, 4) as shipping,
    taxes::numeric(20, 4) as taxes,
    duties_and_fees::numeric(20, 4) as duties_and_fees,
    (gross_sales + discounts + returns + shipping + taxes + duties_and_fees)::numeric(
        20, 4
    ) as total_sales,
    tips::numeric(20, 4) as tips
from
    (
        select
            *,
            (happened_at at time zone iana_timezone)::date as happened_on,
            case
                when is_product_sold and action_type = 'ORDER' and counts
                then abs(coalesce(quantity, 0))
                when is_product_returned and counts
                then - abs(coalesce(quantity, 0))
                else 0
            end as units,
            case
                when is_product_sold and counts then amount + discount else 0
            end as gross_sales,
            case
                when is_product_sold and counts then - discount else 0
            end as discounts,
            case
                when (is_product_returned or line_type = 'ADJUSTMENT') and counts
                then amount
                else 0
            end as returns,
            case
                when line_type = 'SHIPPING' and counts then amount else 0
            end as shipping,
            case when line_type <> 'GIFT_CARD' and counts then tax else 0 end as taxes,
            case
                when line_type in ('DUTY', 'FEE', 'ADDITIONAL_FEE') and counts
                then amount
                else 0
            end as duties_and_fees,
            case when line_type = 'TIP' and counts then amount else 0 end as tips
        from
            (
                select
                    sales.tenant_id,
                    sales.sale_id,
                    orders.order_id,
                    orders.customer_id,
                    orders.is_counted,
                    sales.order_line_id,
                    lines.product_id,
                    lines.variant_id,
                    case
                        when agreements.reason = 'ORDER'
                        then orders.ordered_at
                        when
                            {{
                                is_plausible(
                                    "agreements.happened_at", "orders.iana_timezone"
                                )
                            }}
                        then agreements.happened_at
                        else orders.placed_at
                    end as happened_at,
                    case
                        when agreements.reason = 'ORDER'
                        then orders.is_redated
                        else
                            not coalesce(
                                {{
                                    is_plausible(
                                        "agreements.happened_at",
                                        "orders.iana_timezone",
                                    )
                                }},
                                false
                            )
                    end as is_redated,
                    agreements.reason,
                    sales.action_type,
                    sales.line_type,
                    sales.quantity,
                    sales.total_amount - sales.tax_amount as amount,
                    sales.discount_amount as discount,
                    sales.tax_amount as tax,
                    {{ is_known_sale("sales") }} as is_known,
                    {{ is_known_sale("sales") }}
                    and not coalesce(orders.is_in_other_currency, false) as counts,
                    sales.line_type = 'PRODUCT'
                    and sales.action_type in ('ORDER', 'UPDATE') as is_product_sold,
                    sales.line_type = 'PRODUCT'
                    and sales.action_type = 'RETURN' as is_product_returned,
                    orders.iana_timezone
                from {{ ref("stg_shopify__order_sales") }} sales
                join
                    {{ ref("stg_shopify__order_agreements") }} agreements
                    on agreements.tenant_id = sales.tenant_id
                    and agreements.agreement_id = sales.agreement_id
                join
                    {{ ref("int_orders") }} orders
                    on orders.tenant_id = agreements.tenant_id
                    and orders.order_id = agreements.order_id
                left join
                    {{ ref("stg_shopify__order_line_items") }} lines
                    on lines.tenant_id = sales.tenant_id
                    and lines.order_line_id = sales.order_line_id
            ) sales
    ) measured
