{# The days of each tenant, without gaps: from its first sale to its last day. #}
{% macro days_of_tenants() -%}
    select
        tenant_id,
        first_sale_on + generate_series(0, last_day - first_sale_on) as date_day
    from {{ ref("int_tenant_figures") }}
{%- endmacro %}
