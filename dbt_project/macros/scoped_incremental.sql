{#
    The incremental strategy `scoped`: bring the target's rows of the tenants in scope to what the model selects.

    Rows that the selection lacks are deleted, rows that differ are updated, new ones inserted; all others, and all
    other tenants' rows, stay as they are. No shared relation is altered, so transforms of disjoint tenants run side
    by side, and a reader sees each table before or after, never between.
#}
{% macro get_incremental_scoped_sql(arg_dict) %}
    {% set target = arg_dict["target_relation"] %}
    {% set selected = arg_dict["temp_relation"] %}
    {% set key = arg_dict["unique_key"] %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="name") | list %}
    {% set others = columns | reject("in", key) | list %}
    {% set same_key %}
        {% for column in key %} selected.{{ column }} = target.{{ column }}{{ " and " if not loop.last }} {% endfor %}
    {% endset %}

    {# Nobody else analyses a temporary table, and a guess at its size makes for nested loops over all of it. #}
    analyze {{ selected }}
    ;

    delete from {{ target }} target
    where
        target.tenant_id in (select tenant_id from {{ transform_scope() }})
        and not exists (select from {{ selected }} selected where {{ same_key }})
    ;

    insert into {{ target }} as target ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from {{ selected }}
    on conflict ({{ key | join(", ") }}) do update
    set {% for column in others %} {{ column }} = excluded.{{ column }}{{ ", " if not loop.last }} {% endfor %}
    where
        ({% for column in others %} target.{{ column }}{{ ", " if not loop.last }} {% endfor %})
        is distinct from
        ({% for column in others %} excluded.{{ column }}{{ ", " if not loop.last }} {% endfor %})
{% endmacro %}

{#
    A hook for after a model: refresh the planner's statistics where the model grew by much. A table that was empty a
    moment ago would otherwise be joined as if it still were, by the models that follow in the same run.
#}
{% macro analyze_grown(relation) %}
    {% set built = load_result('main') %}
    {% if execute and built and (built['response'].rows_affected or 0) > 1000 %} analyze {{ relation }} {% endif %}
{% endmacro %}
