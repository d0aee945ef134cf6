{# sqlfmt takes some of these statements for one thing before formatting and for another after: it is off. #}
-- fmt: off
{#
    RFM scores by bounds. NTILE(5) makes fifths of equal size, so a customer's score says how many of four others, the
    first customers of the fifths 2 to 5, come no later in the order of the measure. These four bounds are found by
    indexes, and a change moves them by a few places: the scores of whoever is far from them are as they were.
#}
{# The measures, each with the columns by which it orders customers before their id. #}
{% macro score_orders() %}
    {{
        return(
            {
                "recency": ["last_order_on"],
                "frequency": ["orders_count", "net_sales"],
                "monetary": ["net_sales"],
            }
        )
    }}
{% endmacro %}

{# The columns of a bound by one measure, in order. #}
{% macro bound_columns(measure) %}
    {% set columns = [] %}
    {% for column in score_orders()[measure] + ["customer_id"] %}
        {% do columns.append(measure ~ "_" ~ column) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{# Whether customers of equal value all have the score of the first of them; otherwise the order breaks ties. #}
{% macro keeps_ties_together() %}
    {% set ties = var("rfm_ties") %}
    {% if ties not in ("together", "by_id") %}
        {{ exceptions.raise_compiler_error("The variable rfm_ties is by_id or together, not " ~ ties ~ ".") }}
    {% endif %}
    {{ return(ties == "together") }}
{% endmacro %}

{#
    The customer before whom so many others come in an order, or nobody; counted from the nearer end.

    order: the columns before the id; place: how many come before; number: how many there are; condition: who they are,
    of the customers with counted orders of the tenant `fifths`.
#}
{% macro customer_at(order, place, number, condition="true") %}
    {% for direction, others, is_nearer in [
        ("asc", place, "2 * " ~ place ~ " < " ~ number),
        ("desc", number ~ " - 1 - " ~ place, "2 * " ~ place ~ " >= " ~ number ~ " and " ~ place ~ " < " ~ number),
    ] %}
        (
            select {{ order | join(", ") }}, customer_id
            from {{ ref("int_customers") }} customers
            where customers.tenant_id = fifths.tenant_id and orders_count > 0 and {{ condition }} and {{ is_nearer }}
            order by {{ (order + ["customer_id"]) | join(" " ~ direction ~ ", ") }} {{ direction }}
            offset greatest({{ others }}, 0)
            limit 1
        )
        {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}

{#
    The columns of a bound, from the customer with whom a fifth begins. Where ties are kept together it says instead
    whether all customers of equal value are in the fifth or none, which depends on whether that customer is the first
    of them: it comes before all of them, or after all.
#}
{% macro select_bound(measure) %}
    {% set order = score_orders()[measure] %}
    {{ measure }}.{{ order[0] }} as {{ measure }}_{{ order[0] }}
    {% if keeps_ties_together() %}
        {% set is_first -%}
            not exists (
                select from {{ ref("int_customers") }} customers
                where
                    customers.tenant_id = fifths.tenant_id
                    and customers.orders_count > 0
                    and {{ "least(customers.last_order_on, fifths.as_of_date)" if measure == "recency" else "customers." ~ order[0] }}
                    = {{ measure }}.{{ order[0] }}
                    and ({{ prefixed("customers", order[1:] + ["customer_id"]) }})
                    < ({{ prefixed(measure, order[1:] + ["customer_id"]) }})
            )
        {%- endset %}
        {% for column in order[1:] %}
            , case when {{ is_first }} then numeric '-infinity' else numeric 'infinity' end as {{ measure }}_{{ column }}
        {% endfor %}
        , case when {{ is_first }} then 0 else 9223372036854775807 end as {{ measure }}_customer_id
    {% else %}
        {% for column in order[1:] + ["customer_id"] %}
            , {{ measure }}.{{ column }} as {{ measure }}_{{ column }}
        {% endfor %}
    {% endif %}
{% endmacro %}

{# A hook for after the customers: indexes with the order of each measure, of those customers who have scores. #}
{% macro score_indexes(customers) %}
    {% if makes_relations() %}
        {% for measure, order in score_orders().items() %}
            create index if not exists {{ customers.identifier }}_{{ measure }}
            on {{ customers }} (tenant_id, {{ order | join(", ") }}, customer_id)
            where orders_count > 0
            ;
        {% endfor %}
    {% endif %}
{% endmacro %}

{#
    What the bounds mark besides themselves: the customers whose scores may differ. These are the ones who changed, and
    those between a bound as it was and as it is; and all of a tenant's where a bound is new or gone, on a new day (from
    which on an order is no longer one of the future), and in a rebuild.
#}
{% macro mark_scores() %}
    {% set customers, scores = "intermediate.int_customers", "intermediate.int_customer_scores" %}
    insert into stale.scores
    with
        moved as (
            select
                tenant_id,
                scope.as_of_date,
                count(*) = 1 as is_alone
                {% for measure in score_orders() %}
                    {% set columns = bound_columns(measure) %}
                    {% for column in columns %}
                        , (array_agg({{ column }} order by {{ columns | join(", ") }}))[1] as first_{{ column }}
                        , (array_agg({{ column }} order by {{ columns | join(" desc, ") }} desc))[1] as last_{{ column }}
                    {% endfor %}
                {% endfor %}
            from {{ stale("score_bounds") }} stale_bounds
            join {{ transform_scope() }} scope using (tenant_id)
            group by tenant_id, score, scope.as_of_date
        ),

        whole as (
            select tenant_id
            from {{ transform_scope() }} scope
            left join ops.tenant_marts marts using (tenant_id)
            where {{ concerns_whole_tenant() }}
            union
            select tenant_id from moved where is_alone
        )

    select tenant_id, customer_id from {{ stale("customers") }} stale_customers
    union
    select tenant_id, customer_id from {{ customers }} join whole using (tenant_id) where orders_count > 0
    union
    select tenant_id, customer_id from {{ scores }} join whole using (tenant_id)
    {% for measure, order in score_orders().items() %}
        {% set columns = bound_columns(measure) %}
        {% set customer = "(" ~ prefixed("customers", order + ["customer_id"]) ~ ")" %}
        union
        select moved.tenant_id, customers.customer_id
        from moved
        join {{ customers }} customers
            on customers.tenant_id = moved.tenant_id
            and customers.orders_count > 0
            and {{ customer }} >= ({% for column in columns %} moved.first_{{ column }}{{ "," if not loop.last }} {% endfor %})
            and {{ customer }} <= (
                {% for column in columns %}
                    {% if column == "recency_last_order_on" %}
                        case when moved.last_{{ column }} < moved.as_of_date then moved.last_{{ column }} else 'infinity' end
                    {% else %} moved.last_{{ column }}
                    {% endif %}
                    {{ "," if not loop.last }}
                {% endfor %}
            )
    {% endfor %}
    on conflict do nothing
{% endmacro %}

{# A customer's score for a measure: 1, and 1 more for each bound that comes no later. No bound, no fifth. #}
{% macro score_by_bounds(measure, customers, bounds) %}
    {% set columns = bound_columns(measure) %}
    1
    {% for score in range(2, 6) %}
        + coalesce(
            (
                {% if measure == "recency" %} least({{ customers }}.last_order_on, {{ bounds }}.as_of_date)
                {% else %} {{ prefixed(customers, score_orders()[measure]) }}
                {% endif %}
                , {{ customers }}.customer_id
            )
            >= ({% for column in columns %} {{ bounds }}.{{ column }}_{{ score }}{{ "," if not loop.last }} {% endfor %}),
            false
        )::integer
    {% endfor %}
{% endmacro %}

{# The bounds of a tenant side by side, as aggregates of its rows. #}
{% macro bounds_side_by_side() %}
    {% for score in range(2, 6) %}
        {% for measure in score_orders() %}
            {% for column in bound_columns(measure) %}
                max({{ column }}) filter (where score = {{ score }}) as {{ column }}_{{ score }}{{ "," if not loop.last }}
            {% endfor %}
            {{ "," if not loop.last }}
        {% endfor %}
        {{ "," if not loop.last }}
    {% endfor %}
{% endmacro %}
