{# No two rows are equal in these columns: the key of a view, which no constraint can keep. #}
{% test unique_together(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
