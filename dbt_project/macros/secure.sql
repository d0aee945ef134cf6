{#
    A hook for after a model: what tenants may query is secured in the transaction that makes it, so that no moment
    is unprotected. ops.secure (of a migration) says what that means; where nothing is to be changed it does nothing, so a
    transform issues no DDL.
#}
{% macro secure(relation) %}
    {% if relation.schema == "marts" or config.get("materialized") == "incremental" %}
        select ops.secure('{{ relation }}'::regclass)
    {% endif %}
{% endmacro %}
