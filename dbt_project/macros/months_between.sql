{# The number of calendar months from the month of one date to that of another. #}
{% macro months_between(earlier, later) -%}
    (
        12 * (extract(year from {{ later }}) - extract(year from {{ earlier }}))
        + extract(month from {{ later }})
        - extract(month from {{ earlier }})
    )::integer
{%- endmacro %}
