{# sqlfmt takes some of these statements for one thing before formatting and for another after: it is off. #}
-- fmt: off
{#
    The incremental strategy `history`: record on which days something changed.

    The model selects what differs from the target's open rows (valid_to is null), as it is from the day valid_from on;
    without values where there is nothing more to record. Open rows are closed on that day, and new ones opened. What was
    recorded for the same day is removed first, so that a day leaves one row, and none where it ends as the day before
    did. What is made from the subjects that changed becomes stale with them (`marks`).
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

    analyze {{ selected }} ({{ subject | join(", ") }})
    ;

    {{ mark_stale(selected) }}

    delete from {{ target }} old
    using {{ selected }} new
    where {{ same_subject }} and old.valid_from >= new.valid_from
    ;

    update {{ target }} old
    set valid_to = null
    from {{ selected }} new
    where {{ same_subject }} and old.valid_to >= new.valid_from
    ;

    update {{ target }} old
    set valid_to = new.valid_from
    from {{ selected }} new
    where
        {{ same_subject }}
        and old.valid_to is null
        and {{ row_of("new", observed) }} is distinct from {{ row_of("old", observed) }}
    ;

    insert into {{ target }} ({{ columns | join(", ") }})
    select {{ prefixed("new", columns) }}
    from {{ selected }} new
    where
        new.{{ observed[0] }} is not null
        and not exists (select from {{ target }} old where {{ same_subject }} and old.valid_to is null)
    {# Sorted, so that all are known before the first is inserted: a join with an empty table reads it as it grows. #}
    order by {{ prefixed("new", subject) }}
{% endmacro %}
