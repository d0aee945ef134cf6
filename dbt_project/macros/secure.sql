{#
    A hook for after a model: what tenants may query is secured in the transaction that makes it, so that no moment
    is unprotected. ops.secure (of a migration) says what that means. Columns with `meta: {personal: true}` are withheld
    from who may not see people. A transform makes no relation, and does not call this.
#}
{% macro secure(relation) %}
    {% if relation.schema == "marts" or config.get("materialized") == "incremental" %}
        select
            ops.secure(
                '{{ relation }}'::regclass,
                string_to_array('{{ personal_columns() | join(",") }}', ',')
            )
    {% endif %}
{% endmacro %}

{# The model's columns with personal data, in alphabetical order. #}
{% macro personal_columns() %}
    {% set personal = [] %}
    {% for column in model.columns.values() if column.meta.get("personal") %}
        {% do personal.append(column.name) %}
    {% endfor %}
    {{ return(personal | sort) }}
{% endmacro %}
