{#
    Predictions in SQL: the closed forms of MBG/NBD and Gamma-Gamma, over the row of a customer (int_customers) and of
    its tenant's figures (int_tenant_figures). xeno_pipeline/predictions fits the parameters, and says what they are.
    The variable `predictions` says when a figure is not to be believed: it is null then.
#}
-- fmt: off
{# The columns that customers have predicted: name, the conditions under which it is believed, and the expression. #}
{% macro predicted_columns() %}
    {% set chance = "terms.alive * (1 - exp(greatest(terms.log_none_90d, -600)))" %}
    {% set value = "fits.p * (fits.v + greatest(customers.repeat_sales, 0)::float8) / (fits.p * customers.valued_repeats + fits.q - 1)" %}
    {% set orders = {} %}
    {% for period in ["90d", "365d"] %}
        {% do orders.update({period: "terms.alive * terms.y_" ~ period ~ " * (" ~ polynomial(period) ~ ")"}) %}
    {% endfor %}
    {{
        return(
            [
                ("probability_alive", ["enough", "ranks", "dropout"], "terms.alive"),
                ("probability_order_90d", ["enough", "ranks"], chance),
                ("expected_orders_90d", ["enough", "ranks", "totals"], orders["90d"]),
                ("expected_orders_365d", ["enough", "ranks", "totals"], orders["365d"]),
                ("expected_order_value", ["enough", "values"], "(" ~ value ~ ")::numeric(20, 4)"),
                (
                    "expected_net_sales_90d",
                    ["enough", "ranks", "totals", "values"],
                    "(" ~ orders["90d"] ~ " * fits.kept_share * " ~ value ~ ")::numeric(20, 4)",
                ),
                (
                    "expected_net_sales_365d",
                    ["enough", "ranks", "totals", "values"],
                    "(" ~ orders["365d"] ~ " * fits.kept_share * " ~ value ~ ")::numeric(20, 4)",
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
        and curves.repeats = least(customers.order_days - 1, fits.most_repeats)
    {#
        An aggregate, so that the planner neither copies the terms to wherever they are used, nor computes them where
        nobody asks for them. Exponents are bounded: PostgreSQL raises an error where a float8 overflows or vanishes.
    #}
    left join lateral (
        select
            max(1 / (1 + fits.a / (fits.b + repeats) * exp(least(
                (fits.r + repeats) * ln((fits.alpha + age) / (fits.alpha + last_at)), 600
            )))) as alive,
            max(-(fits.r + repeats) * ln(1 + 90 / (fits.alpha + age))) as log_none_90d,
            {% for period in ["90d", "365d"] %}
                {% set y = "ln(1 + " ~ period[:-1] ~ " / (fits.alpha + age))" %}
                max({{ y }}) as y_{{ period }},
                max(2 * {{ y }} / curves.ceiling_{{ period }} - 1) as s_{{ period }}{{ "," if not loop.last }}
            {% endfor %}
        from (
            select
                (nullif(customers.order_days, 0) - 1)::float8 as repeats,
                (customers.last_order_on - customers.first_order_on)::float8 as last_at,
                (greatest(figures.as_of_date, customers.last_order_on) - customers.first_order_on)::float8 as age
        ) history
    ) terms on true
{% endmacro %}

{# The polynomial of a customer's repeats, by Horner's method: see xeno_pipeline/predictions/curves.py. #}
{% macro polynomial(period) %}
    {% set terms = 16 %}
    {% set parts = [] %}
    {% for power in range(terms) %}
        {% do parts.append("curves.coefficients_" ~ period ~ "[" ~ (power + 1) ~ "]") %}
    {% endfor %}
    {{ return(parts | join(" + terms.s_" ~ period ~ " * (") ~ ")" * (terms - 1)) }}
{% endmacro %}
