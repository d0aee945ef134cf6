{#
    The tenants that a run rebuilds, one row each: tenant_id, as_of_date ("today" in the shop's time zone).

    Which they are is told by the session setting xeno.transform_id and the table ops.transforms. Neither --vars
    nor an environment variable would do: when these change, dbt parses the whole project again.
#}
{% macro transform_scope() -%} ops.transform_scope {%- endmacro %}

{#
    Whether this run is a transform: it rebuilds rows, and touches no shared relation's definition. The nil id is that
    of the run that makes the relations.
#}
{% macro is_transform() %}
    {% if not execute %} {{ return(false) }} {% endif %}
    {% set answer = run_query("select coalesce(current_setting('xeno.transform_id', true), '')") %}
    {% set transform_id = answer.columns[0].values()[0] %}
    {{ return(transform_id not in ('', '00000000-0000-0000-0000-000000000000')) }}
{% endmacro %}
