{#
    A hook for after a model: what tenants may query is secured in the transaction that makes it, so that no moment
    is unprotected. What that means is told by ops.secure (a migration's); where all is as it should be it does
    nothing, so a transform issues no DDL.
#}
{% macro secure(relation) %}
    {% if relation.schema == "marts" or config.get("materialized") == "incremental" %}
        select ops.secure('{{ relation }}'::regclass)
    {% endif %}
{% endmacro %}
