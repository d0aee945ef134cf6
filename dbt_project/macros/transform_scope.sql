{#
    The tenants that a run rebuilds, one row each: tenant_id, as_of_date ("today" in the shop's time zone), is_whole
    (all of its marts are compared), writes_history.

    The session setting xeno.transform_id and the table ops.transforms say which they are: views need it as well, and
    where --vars or an environment variable change, dbt parses the whole project again.
#}
{% macro transform_scope() -%} ops.transform_scope {%- endmacro %}

{# Whether this run is a transform: it rebuilds rows, and touches no shared relation's definition. #}
{% macro is_transform() %}
    {{ return(execute and transform_id() not in ("", no_tenants())) }}
{% endmacro %}

{# Whether this run makes the relations, and no rows. #}
{% macro makes_relations() %}
    {{ return(execute and transform_id() == no_tenants()) }}
{% endmacro %}

{% macro no_tenants() %}
    {{ return("00000000-0000-0000-0000-000000000000") }}
{% endmacro %}

{#
    The transform that this run belongs to; none is the empty string. Whoever gives dbt a parsed project says it by a
    variable too (marts/dbt.py): it is asked for some fifty times, each a round trip to the database.
#}
{% macro transform_id() %}
    {% if var("transform_id", "") %} {{ return(var("transform_id")) }} {% endif %}
    {% set answer = run_query(
        "select coalesce(current_setting('xeno.transform_id', true), '')"
    ) %}
    {{ return(answer.columns[0].values()[0]) }}
{% endmacro %}
