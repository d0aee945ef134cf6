{#
    Whether an instant can be when something happened in a shop: from 1990 until a year from the shop's real today, its
    last day included. (Raw holds any instant that PostgreSQL can hold, and apps write any into an order.)

    What lies between is known by two comparisons; the shop's clock is asked about the rest only. No instant is brought
    into a time zone before it is known to be in bounds: one of the last that there are would overflow.
#}
{% macro is_plausible(instant, timezone) -%}
    (
        {{ instant }} between '1990-01-02 00:00Z'::timestamptz and now()
        or {{ instant }} >= '1990-01-01 00:00'::timestamp at time zone {{ timezone }}
        and {{ instant }} < (
            (
                ({{ run_began_at() }} at time zone {{ timezone }})::date
                + interval '1 year'
            )::date
            + 1
        )::timestamp at time zone {{ timezone }}
    )
{%- endmacro %}

{# An instant where it is plausible, else another one; null stays null. #}
{% macro plausible(instant, timezone, otherwise="null") -%}
    case
        when {{ instant }} is null or {{ is_plausible(instant, timezone) }}
        then {{ instant }}
        else {{ otherwise }}
    end
{%- endmacro %}

{#
    When the transform that runs began, one instant for all of its models, even if midnight passes; now where
    there is none. (A subquery of its own, which is asked once for all rows.)
#}
{% macro run_began_at() -%}
    coalesce(
        (
            select min(started_at)
            from ops.transforms
            where
                transform_id
                = nullif(current_setting('xeno.transform_id', true), '')::uuid
        ),
        now()
    )
{%- endmacro %}
