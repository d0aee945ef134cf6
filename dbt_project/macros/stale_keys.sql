{#
    Stale keys: the keys of rows that a run builds again. docs/contribute/stale-keys.md follows one order through them.

    The variable `stale_keys` declares their kinds; schema `stale` has a table for each. A run begins by marking what
    changed in raw (`mark_changed_objects`). From there staleness travels with the rows themselves: the strategy
    `scoped` marks, in the transaction that changes rows of a table, the keys of whatever is made from them (`marks`),
    as the rows were and as they are. So a run that dies halfway forgets nothing. The keys of a tenant are deleted when
    all its marts are made.

    A model says by `meta` by which keys its rows are built, and which keys it makes stale:

        meta={"stale": "orders", "marks": {"days": ["happened_on"]}}
#}
{# The columns of a kind of key besides tenant_id. The kind `scope` stands for all tenants of the run. #}
{% macro key_columns(kind) %}
    {{
        return(
            []
            if kind == "scope"
            else var("stale_keys")[kind]["columns"].keys() | list
        )
    }}
{% endmacro %}

{# A hook for the start of a run that makes the relations: the tables of kinds that are new. #}
{% macro create_stale_key_tables() %}
    {% if not makes_models() or not makes_relations() %} {{ return("") }} {% endif %}
    {% for kind, declared in var("stale_keys").items() %}
        create table if not exists stale.{{ kind }} (
            tenant_id text not null,
        {% for column, type in declared["columns"].items() %}
            {{ column }} {{ type }} not null,
        {% endfor %}
            primary key ({{ (["tenant_id"] + key_columns(kind)) | join(", ") }})
        )
        ;
        comment on table stale.{{ kind }} is {{ quoted(declared["description"]) }}
        ;
    {% endfor %}
{% endmacro %}

{# The stale keys of a kind in this run's tenants, as a relation; of the kind `scope`, all of its tenants. #}
{% macro stale(kind) -%}
    {%- if kind == "scope" -%} {{ transform_scope() }}
    {%- else -%}
        (
            select stale_{{ kind }}.*
            from stale.{{ kind }} stale_{{ kind }}
            where
                stale_{{ kind }}.tenant_id
                in (select tenant_id from {{ transform_scope() }})
        )
    {%- endif -%}
{%- endmacro %}

{# The kinds of keys by which the model's rows are built: mostly one. #}
{% macro stale_kinds() %}
    {% set kinds = model.config.meta.get("stale", []) %}
    {{ return([kinds] if kinds is string else kinds) }}
{% endmacro %}

{#
    A hook for before a model, outside of its transaction: a guess at how many keys there are makes for bad plans. (A
    transform looks for itself, where there are any.)
#}
{% macro analyze_stale_keys() %}
    {% if execute %}
        {% for kind in stale_kinds() if kind != "scope" %}
            analyze stale.{{ kind }}
            ;
        {% endfor %}
    {% endif %}
{% endmacro %}

{# A hook for the start of a run: mark as stale what changed in raw since the marts of its tenants were made. #}
{% macro mark_changed_objects() %}
    {% if not makes_models() or makes_relations() %} {{ return("") }} {% endif %}
    {% if not is_transform() and load_relation(
        api.Relation.create(schema="marts", identifier="fct_orders")
    ) is none %}
        {{
            exceptions.raise_compiler_error(
                "The marts are not made yet: run `xeno db migrate` once."
            )
        }}
    {% endif %}
    begin
    ;

    {# Autovacuum never analyzes tables this small, and every model reads them. #}
    analyze ops.tenants,
    ops.transforms,
    ops.changes
    ;

    {{
        mark_changed(
            "orders", "orders", [source("shopify", "orders"), "marts.fct_orders"]
        )
    }}
    {{
        mark_changed(
            "customers",
            "customers",
            [source("shopify", "customers"), "intermediate.int_customers"],
        )
    }}
    {{
        mark_changed(
            "products",
            "products",
            [source("shopify", "products"), "marts.dim_products"],
        )
    }}
    {{
        mark_changed(
            "abandoned_checkouts",
            "checkouts",
            [source("shopify", "abandoned_checkouts"), "intermediate.int_checkouts"],
        )
    }}
    {{
        mark_changed(
            "carts", "carts", [source("shopify", "carts"), "intermediate.int_carts"]
        )
    }}

    {# A date too far ahead yesterday may be plausible on the shop's new day. #}
    {% for dated in ["marts.fct_orders", "intermediate.int_refunds"] %}
        insert into stale.orders
        select tenant_id, dated.order_id
        from {{ transform_scope() }} scope
        join ops.tenants using (tenant_id)
        join ops.tenant_marts marts using (tenant_id)
        join {{ dated }} dated using (tenant_id)
        where
            dated.is_redated
            and (
                marts.as_of_date <> scope.as_of_date
                or (marts.transformed_at at time zone tenants.iana_timezone)::date
                <> (now() at time zone tenants.iana_timezone)::date
            )
        on conflict do nothing;
    {% endfor %}

    analyze stale.orders
    ;

    {# Of a tenant that is rebuilt, all orders are stale: there are no others to look for. #}
    insert into stale.renumbered_orders
    with
        changed as (
            select tenant_id, order_id, is_whole
            from {{ stale("orders") }} changed
            join {{ transform_scope() }} scope using (tenant_id)
        ),
        customers as (
            select changed.tenant_id, customer_id
            from changed
            join marts.fct_orders using (tenant_id, order_id)
            where not is_whole and customer_id is not null
            union
            {# Not raw's own tenant_id: its collation would keep fct_orders' index from being used. #}
            select changed.tenant_id, orders.customer_id
            from changed
            join {{ source("shopify", "orders") }} orders using (tenant_id)
            where
                not is_whole
                and orders.id = changed.order_id
                and orders.customer_id is not null
        )
    select tenant_id, order_id
    from changed
    union all
    select tenant_id, order_id
    from marts.fct_orders
    join customers using (tenant_id, customer_id)
    on conflict do nothing;

    {# Rows without a row in raw: nothing else would mark these. #}
    insert into stale.days
    select tenant_id, date_day from intermediate.int_daily_sales
    where tenant_id in (select tenant_id from {{ transform_scope() }} where is_whole)
    on conflict do nothing;

    insert into stale.product_months
    select distinct tenant_id, product_id, month from intermediate.int_product_months
    where tenant_id in (select tenant_id from {{ transform_scope() }} where is_whole)
    on conflict do nothing;

    {# Their conditions were compiled before. A transform that writes no history evaluates none. #}
    insert into stale.segments
    select tenant_id, object_id
    from ops.changes
    where
        object = 'segments'
        and tenant_id in (select tenant_id from {{ transform_scope() }})
    union
    select tenant_id, segment_id
    from {{ transform_scope() }} scope
    join ops.segments segments using (tenant_id)
    left join ops.tenant_marts marts using (tenant_id)
    where
        scope.is_whole
        or marts.has_history is not true
        or (segments.is_dated and marts.as_of_date <> scope.as_of_date)
    on conflict do nothing;

    insert into stale.tenants
    select tenant_id
    from {{ transform_scope() }} scope
    left join ops.tenant_marts marts using (tenant_id)
    where {{ concerns_whole_tenant() }}
    on conflict do nothing;

    commit
    ;
{% endmacro %}

{#
    Mark the changed objects of a kind. Where all of them changed, or all of the tenant is rebuilt, these are all that
    raw has and all that the marts have.
#}
{% macro mark_changed(object, kind, holders) %}
    {% set key = key_columns(kind)[0] %}
    insert into stale.{{ kind }}
    with
        everything as (
            select tenant_id
            from {{ transform_scope() }}
            where
                is_whole
                or tenant_id in (
                    select tenant_id from ops.changes where object = '{{ object }}' and object_id = 0
                )
        )
    select tenant_id, object_id
    from ops.changes
    where
        object = '{{ object }}' and object_id <> 0
        and tenant_id in (select tenant_id from {{ transform_scope() }})
    {% for holder in holders %}
        union all
        select tenant_id, {{ "id" if loop.first else key }}
        from {{ holder }}
        where tenant_id in (select tenant_id from everything)
    {% endfor %}
    on conflict do nothing;
{% endmacro %}

{#
    A hook for the end of a run that is no transform: where it built all marts, nothing is stale any more. (A transform
    is more than a run of dbt: it deletes its keys itself.)
#}
{% macro drop_stale_keys() %}
    {% if not makes_models() or is_transform() or makes_relations() %}
        {{ return("") }}
    {% endif %}
    {% set made = (
        results
        | selectattr("status", "in", ["success"])
        | map(attribute="node.unique_id")
        | list
    ) %}
    {% set models = graph.nodes.values() | selectattr(
        "resource_type", "equalto", "model"
    ) %}
    {% if models | rejectattr("unique_id", "in", made) | list %}
        {{ return("") }}
    {% endif %}
    begin
    ;
    {% for kind in var("stale_keys") %}
        {# A transform of a tenant that is under way builds what it has marked since. #}
        delete from stale.{{ kind }}
        where
            tenant_id in (select tenant_id from {{ transform_scope() }})
            and tenant_id not in (select tenant_id from ops.transforms)
        ;
    {% endfor %}
    commit
    ;
{% endmacro %}

{#
    Whether a transform looks at all of a tenant: it is rebuilt, it is another day than that of its marts, or they lack
    its history. The query has `scope`, and `marts` of ops.tenant_marts.
#}
{% macro concerns_whole_tenant() -%}
    (
        scope.is_whole
        or marts.as_of_date is distinct from scope.as_of_date
        or (scope.writes_history and not marts.has_history)
    )
{%- endmacro %}

{# Whether this is a command of dbt that builds models; the hooks run with tests and seeds too. #}
{% macro makes_models() %}
    {{ return(execute and flags.WHICH in ("run", "build")) }}
{% endmacro %}
