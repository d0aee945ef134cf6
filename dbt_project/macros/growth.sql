{# By what fraction a figure is above its base; null where there is no base, or one that is zero or negative. #}
{% macro growth(figure, base) -%}
    (({{ figure }} - {{ base }}) / nullif(greatest({{ base }}, 0), 0))::numeric(20, 6)
{%- endmacro %}
