{#
    A hook for after a mart: its description, and those of its columns, as comments in the database, where BI tools show
    them. Only where the relations are made: COMMENT is DDL, and transforms issue none.
#}
{% macro comment_on(relation) %}
    {% if makes_relations() %}
        {% set kind = (
            "table" if config.get("materialized") == "incremental" else "view"
        ) %}
        comment on {{ kind }} {{ relation }} is {{ quoted(model.description) }}
        ;
        {% for column in model.columns.values() %}
            comment on column {{ relation }}.{{ column.name }}
            is {{ quoted(column.description) }}
            ;
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro quoted(text) -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(text | trim)) }}
{%- endmacro %}
