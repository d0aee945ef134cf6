{# The ten sales measures, in order. Their definitions are in the model int_sales. #}
{% macro measures() %}
    {{
        return(
            [
                "units",
                "gross_sales",
                "discounts",
                "returns",
                "net_sales",
                "shipping",
                "taxes",
                "duties_and_fees",
                "total_sales",
                "tips",
            ]
        )
    }}
{% endmacro %}

{# The measures summed, each under its own name; 0 where there are no sales. #}
{% macro sum_measures() %}
    {% for measure in measures() %}
        coalesce(sum({{ measure }}), 0) as {{ measure }}{{ "," if not loop.last }}
    {% endfor %}
{% endmacro %}

{# The measures of an alias, null made 0, in the types of the contract. #}
{% macro select_measures(alias) %}
    {% for measure in measures() %}
        coalesce(
            {{ alias }}.{{ measure }}, 0
        )::{{ "bigint" if measure == "units" else "numeric(20, 4)" }}
        as {{ measure }}{{ "," if not loop.last }}
    {% endfor %}
{% endmacro %}
