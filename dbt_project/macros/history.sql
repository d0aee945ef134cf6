{# sqlfmt takes some of these statements for one thing before formatting and for another after: it is off. #}
-- fmt: off
{#
    The incremental strategy `history`: record on which days what the model selects became other than it was.

    The target has valid_from and valid_to; its open rows (valid_to is null) become what is selected. What differs is
    closed on the day of the transform, and opened anew from that day on; what was already recorded for the same day is
    taken back first, so that a day leaves one row. Only transforms of today write history.
#}
{% macro get_incremental_history_sql(arg_dict) %}
    {% set target = arg_dict["target_relation"] %}
    {% set selected = arg_dict["temp_relation"] %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="name") | list %}
    {% set subject = arg_dict["unique_key"] | reject("equalto", "valid_from") | list %}
    {% set observed = columns | reject("in", subject + ["valid_from", "valid_to"]) | list %}
    {% set same_subject %}
        {% for column in subject %} new.{{ column }} = old.{{ column }}{{ " and " if not loop.last }} {% endfor %}
    {% endset %}
    {% set unchanged %}
        {{ same_subject }} and {{ row_of("new", observed) }} is not distinct from {{ row_of("old", observed) }}
    {% endset %}

    analyze {{ selected }}
    ;

    create temporary table {{ target.identifier }}__moved on commit drop as
    with
        days as (
            select tenant_id, scope.as_of_date as day
            from {{ transform_scope() }} scope
            join {{ stale("tenants") }} stale_tenants using (tenant_id)
            where scope.writes_history
        ),
        moved as (
            select {{ prefixed("old", subject) }}
            from {{ target }} old
            where
                old.valid_to is null
                and old.tenant_id in (select tenant_id from days)
                and not exists (select from {{ selected }} new where {{ unchanged }})
            union
            select {{ prefixed("new", subject) }}
            from {{ selected }} new
            where not exists (select from {{ target }} old where old.valid_to is null and {{ unchanged }})
        )
    select moved.*, days.day
    from moved
    join days using (tenant_id)
    ;

    delete from {{ target }} old
    using {{ target.identifier }}__moved new
    where {{ same_subject }} and old.valid_from >= new.day
    ;

    update {{ target }} old
    set valid_to = null
    from {{ target.identifier }}__moved new
    where {{ same_subject }} and old.valid_to >= new.day
    ;

    update {{ target }} old
    set valid_to = moved.day
    from {{ target.identifier }}__moved moved
    where
        {% for column in subject %} moved.{{ column }} = old.{{ column }} and {% endfor %}
        old.valid_to is null
        and not exists (select from {{ selected }} new where {{ unchanged }})
    ;

    insert into {{ target }} ({{ columns | join(", ") }})
    select {{ prefixed("new", columns) }}
    from {{ selected }} new
    join {{ target.identifier }}__moved moved using ({{ subject | join(", ") }})
    where not exists (select from {{ target }} old where old.valid_to is null and {{ same_subject }})
{% endmacro %}
