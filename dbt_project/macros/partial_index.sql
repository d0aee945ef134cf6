{#
    A hook for after a model: an index on the few rows that something is the matter with, which checks look for in the
    tables of all tenants. It is made with the relations: transforms issue no DDL.
#}
{% macro partial_index(relation, name, columns, predicate) %}
    {% if makes_relations() %}
        create index if not exists {{ relation.identifier }}_{{ name }}
        on {{ relation }} ({{ columns | join(", ") }})
        where {{ predicate }}
    {% endif %}
{% endmacro %}
