{#
    What fraction of a base a figure is; null where the base is not above zero, and where it is next to nothing beside the
    figure, so that the fraction would not fit its type.
#}
{% macro fraction(figure, base) -%}
    case
        when abs({{ figure }}) < 1e13 * ({{ base }})
        then (({{ figure }}) / ({{ base }}))::numeric(20, 6)
    end
{%- endmacro %}

{# By what fraction of its base a figure is above it. #}
{% macro growth(figure, base) -%}
    {{ fraction(figure ~ " - " ~ base, base) }}
{%- endmacro %}
