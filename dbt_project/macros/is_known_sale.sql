{# Whether it is known what a sale of the ledger counts as: its line type, its action and its amounts are. #}
{% macro is_known_sale(sale) -%}
    coalesce(
        {{ sale }}.action_type in ('ORDER', 'UPDATE', 'RETURN')
        and {{ sale }}.line_type in (
            'ADDITIONAL_FEE',
            'ADJUSTMENT',
            'DUTY',
            'FEE',
            'GIFT_CARD',
            'PRODUCT',
            'SHIPPING',
            'TIP'
        )
        and {{ sale }}.total_amount is not null
        and {{ sale }}.discount_amount is not null
        and {{ sale }}.tax_amount is not null,
        false
    )
{%- endmacro %}
