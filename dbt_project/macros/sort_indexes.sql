{#
    A hook for after a model: indexes by which a tenant's rows are read in the order of a column, a page at a time. They
    are made with the relations, also where the table is older than they are: transforms issue no DDL.
#}
{% macro sort_indexes(relation, columns, key) %}
    {% if makes_relations() %}
        {% for column in columns %}
            create index if not exists {{ relation.identifier }}_by_{{ column }}
            on {{ relation }} (tenant_id, {{ column }}, {{ key }})
            ;
        {% endfor %}
    {% endif %}
{% endmacro %}
