{#
    A customer's score for one measure, 1 to 5, of the fifth that NTILE put the customer in.

    NTILE makes fifths of equal size and splits equal values by whatever order it is given, so that order says how ties
    are broken. With the variable rfm_ties set to `together`, customers of equal value all have the score of the first of
    them instead.
#}
{% macro rfm_score(fifth, value) -%}
    {%- if var("rfm_ties") == "together" -%}
        min({{ fifth }}) over (partition by {{ value }})
    {%- elif var("rfm_ties") == "by_id" -%} {{ fifth }}
    {%- else -%}
        {{
            exceptions.raise_compiler_error(
                "The variable rfm_ties is by_id or together, not "
                ~ var("rfm_ties")
                ~ "."
            )
        }}
    {%- endif -%}
{%- endmacro %}
