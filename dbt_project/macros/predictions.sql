{#
    Predictions in SQL: the closed forms of MBG/NBD and Gamma-Gamma, over the row of a customer (int_customers) and of
    its tenant's figures (int_tenant_figures). xeno_pipeline/predictions fits the parameters, and says what they are.
    The variable `predictions` says when a figure is not to be believed: it is null then.
#}
-- fmt: off
{# The columns that customers have predicted: name, the conditions under which it is believed, and the expression. #}
{% macro predicted_columns() %}
    {% set kept_value = bounded("fits.kept_share * " ~ order_value()) %}
    {{
        return(
            [
                ("probability_alive", ["enough", "ranks", "dropout"], probability_alive()),
                ("probability_order_90d", ["enough", "ranks"], probability_alive() ~ " * " ~ probability_order("90")),
                ("expected_orders_90d", ["enough", "ranks", "totals"], expected_orders("90d")),
                ("expected_orders_365d", ["enough", "ranks", "totals"], expected_orders("365d")),
                ("expected_order_value", ["enough", "values"], money(bounded(order_value()))),
                (
                    "expected_net_sales_90d",
                    ["enough", "ranks", "totals", "values"],
                    money(expected_orders("90d") ~ " * " ~ kept_value),
                ),
                (
                    "expected_net_sales_365d",
                    ["enough", "ranks", "totals", "values"],
                    money(expected_orders("365d") ~ " * " ~ kept_value),
                ),
            ]
        )
    }}
{% endmacro %}

{# Select all of them: after a `from` with `customers`, `figures` and join_predictions(). #}
{% macro select_predictions() %}
    {% for name, conditions, expression in predicted_columns() %}
        case
            when {% for each in conditions %}({{ prediction_rules()[each][0] }}){{ " and " if not loop.last }}{% endfor %}
            then {{ expression }}
        end as {{ name }}{{ "," if not loop.last }}
    {% endfor %}
{% endmacro %}

{# What has to hold of a tenant's fit (`fits`), and a sentence for where it does not. #}
{% macro prediction_rules() %}
    {% set limits = var("predictions") %}
    {{
        return(
            {
                "enough": (
                    "fits.alpha is not null"
                    ~ " and fits.customers >= " ~ limits["least_customers"]
                    ~ " and fits.repeat_customers >= " ~ limits["least_repeat_customers"]
                    ~ " and fits.history_days >= " ~ limits["least_history_days"],
                    "Too little is known: it takes " ~ limits["least_customers"] ~ " customers, "
                    ~ limits["least_repeat_customers"] ~ " of whom ordered again, and "
                    ~ limits["least_history_days"] ~ " days of orders.",
                ),
                "ranks": (
                    "fits.auc > fits.auc_recency and fits.brier_skill > 0",
                    "In the last 90 days the model did not tell who orders again better than the day of the last order does.",
                ),
                "dropout": (
                    "not fits.is_at_bound",
                    "The data do not show that customers leave for good, so the probability of being alive says nothing.",
                ),
                "totals": (
                    "fits.worst_orders_error <= " ~ limits["largest_error"],
                    "One of the last four quarters had many more or fewer orders than the model predicted, as with a season.",
                ),
                "values": (
                    "fits.p is not null and fits.kept_share is not null"
                    ~ " and coalesce(abs(fits.value_correlation), 0) <= " ~ limits["largest_correlation"],
                    "How much customers spend goes with how often they order, or varies without bound, which the model of values does not know.",
                ),
            }
        )
    }}
{% endmacro %}

{# Whether all of a tenant's predictions are believed; and why not, in words. #}
{% macro select_verdict() %}
    {% set enough = prediction_rules()["enough"] %}
    {% set others = ["ranks", "dropout", "totals", "values"] %}
    coalesce(
        ({{ enough[0] }}) {% for each in others %} and ({{ prediction_rules()[each][0] }}){% endfor %}, false
    ) as is_reliable,
    case
        when fits.tenant_id is null then 'The models are not fitted yet: that happens with the first transform of a new day.'
        when ({{ enough[0] }}) is not true then {{ quoted(enough[1]) }}
        else nullif(concat_ws(
            ' '
            {% for each in others %}
                , case when ({{ prediction_rules()[each][0] }}) is not true then {{ quoted(prediction_rules()[each][1]) }} end
            {% endfor %}
        ), '')
    end as unreliable_because
{% endmacro %}

{# The joins that these stand on, each with one row or none. #}
{% macro join_predictions() %}
    left join {{ source("predictions", "prediction_fits") }} fits on fits.tenant_id = customers.tenant_id
    left join {{ source("predictions", "prediction_curves") }} curves
        on curves.tenant_id = fits.tenant_id
        and curves.repeats = least({{ repeats() }}, fits.most_repeats)
        and curves.piece = (2 * ln(fits.alpha + {{ age() }}))::integer
{% endmacro %}

{#
    Below, expressions of a customer. That which occurs in them several times is computed several times: a subquery that
    gives it a name would take longer, and PostgreSQL would not read customers in parallel. What nobody selects is not
    computed at all. Exponents are bounded, since PostgreSQL raises an error where a float8 overflows or vanishes.
#}
{# Null without an order, for what follows is not. #}
{% macro repeats() %}(nullif(customers.order_days, 0) - 1){% endmacro %}

{# Days from a customer's first order to today, and to their last order. #}
{% macro age() %}(greatest(figures.as_of_date, customers.last_order_on) - customers.first_order_on){% endmacro %}

{% macro last_at() %}(customers.last_order_on - customers.first_order_on){% endmacro %}

{% macro probability_alive() -%}
    (1 / (1 + fits.a / (fits.b + {{ repeats() }}) * exp(least(
        (fits.r + {{ repeats() }}) * ln((fits.alpha + {{ age() }}) / (fits.alpha + {{ last_at() }})), 600
    ))))
{%- endmacro %}

{# Of a customer who is alive. #}
{% macro probability_order(days) -%}
    (1 - exp(greatest(-(fits.r + {{ repeats() }}) * ln(1 + {{ days }} / (fits.alpha + {{ age() }})), -600)))
{%- endmacro %}

{# By Horner's method, from the polynomial of their repeats and age: see xeno_pipeline/predictions/curves.py. #}
{% macro expected_orders(period) -%}
    {% set coefficients = [] %}
    {%- for power in range(8) %}
        {%- do coefficients.append("curves.orders_" ~ period ~ "_" ~ power) %}
    {%- endfor %}
    {{- probability_alive() }} * ({{ coefficients | join(" + " ~ age() ~ " * (") }}{{ ")" * 8 }}
{%- endmacro %}

{# What a customer spends on a day with an order. #}
{% macro order_value() -%}
    (
        fits.p * (fits.v + {{ money_to_float("customers.repeat_sales") }})
        / (fits.p * customers.valued_repeats + fits.q - 1)
    )
{%- endmacro %}

{#
    From and to numeric by way of bigint, in ten-thousandths: PostgreSQL converts numeric to float8 and back by printing
    and reading digits, which takes several times as long. What bigint cannot hold is no shop's sales: it is bounded
    first, where nothing is null, since least and greatest take a null for no bound.
#}
{% macro money_to_float(amount) -%}
    ((least(greatest({{ amount }}, 0), 900000000000000) * 10000)::bigint / 10000::float8)
{%- endmacro %}

{% macro bounded(amount) -%}
    greatest(least({{ amount }}, 1e12::float8), -1e12::float8)
{%- endmacro %}

{% macro money(amount) -%}
    (({{ amount }} * 10000)::bigint * 0.0001)::numeric(20, 4)
{%- endmacro %}
