{#
    A score of 1 to 5, 5 for what comes last in the given order, among the customers of one tenant that it is used on.

    NTILE makes fifths of equal size and splits equal values by whatever order it is given, so the tie-break (the
    customer's id, ascending) is explicit. With the variable rfm_ties set to `together`, equal values have an equal
    score instead: that of the last of them.
#}
{% macro rfm_score(order_by) -%}
    {%- if var("rfm_ties") == "together" -%}
        ceil(5 * cume_dist() over (order by {{ order_by }}))::integer
    {%- else -%} ntile(5) over (order by {{ order_by }}, customer_id)
    {%- endif -%}
{%- endmacro %}
