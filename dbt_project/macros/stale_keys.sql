{#
    What is stale: the keys of rows that a run makes anew.

    Schema `stale` has a table for each kind of key. A run begins by noting what changed in raw (`note_changes`);
    from there staleness travels with the rows themselves: the strategy `scoped` notes, in the transaction that
    changes rows of a table, the keys of whatever is made from them (`marks`), as the rows were and as they are. So
    a run that dies halfway forgets nothing. The keys of a tenant go when all its marts are made.

    A model says by `meta` which keys it is made by, and what it makes stale:

        meta={"stale": "orders", "marks": {"days": ["happened_on"]}}
#}
{% macro key_columns(kind) %}
    {{
        return(
            {
                "orders": ["order_id"],
                "renumbered_orders": ["order_id"],
                "customers": ["customer_id"],
                "days": ["date_day"],
                "product_months": ["product_id", "month"],
                "products": ["product_id"],
                "checkouts": ["checkout_id"],
                "carts": ["cart_number"],
                "tenants": [],
                "scope": [],
            }[kind]
        )
    }}
{% endmacro %}

{# The stale keys of a kind that this run is to make anew, as a relation; of kind `scope`, all of its tenants. #}
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

{# A hook for before a model, outside of its transaction: a guess at how many keys there are makes for bad plans. #}
{% macro analyze_stale_keys() %}
    {% set kind = model.config.meta.get("stale") %}
    {% if execute and kind and kind != "scope" %} analyze stale.{{ kind }} {% endif %}
{% endmacro %}

{# A hook for the start of a run: note as stale what changed in raw since the marts of its tenants were made. #}
{% macro note_changes() %}
    {% if not makes_models() or makes_relations() %} {{ return("") }} {% endif %}
    {% if load_relation(
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

    {# Of tables so small nobody knows the size, and every model reads them. #}
    analyze ops.tenants,
    ops.transforms,
    ops.changes
    ;

    {{
        note_changed(
            "orders", "orders", [source("shopify", "orders"), "marts.fct_orders"]
        )
    }}
    {{
        note_changed(
            "customers",
            "customers",
            [source("shopify", "customers"), "intermediate.int_customers"],
        )
    }}
    {{
        note_changed(
            "products",
            "products",
            [source("shopify", "products"), "marts.dim_products"],
        )
    }}
    {{
        note_changed(
            "abandoned_checkouts",
            "checkouts",
            [source("shopify", "abandoned_checkouts"), "intermediate.int_checkouts"],
        )
    }}
    {{
        note_changed(
            "carts", "carts", [source("shopify", "carts"), "intermediate.int_carts"]
        )
    }}

    {# What was dated too far ahead may be plausible by the shop's new day. #}
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

    insert into stale.renumbered_orders
    with
        changed as (select tenant_id, order_id from {{ stale("orders") }} changed),
        customers as (
            select tenant_id, customer_id
            from marts.fct_orders
            join changed using (tenant_id, order_id)
            where customer_id is not null
            union
            select tenant_id, orders.customer_id
            from {{ source("shopify", "orders") }} orders
            join changed using (tenant_id)
            where orders.id = changed.order_id and orders.customer_id is not null
        )
    select tenant_id, order_id
    from changed
    union
    select tenant_id, order_id
    from marts.fct_orders
    join customers using (tenant_id, customer_id)
    on conflict do nothing;

    {# Rows without a row in raw: nothing else would make these anew. #}
    insert into stale.days
    select tenant_id, date_day from intermediate.int_daily_sales
    where tenant_id in (select tenant_id from {{ transform_scope() }} where is_whole)
    on conflict do nothing;

    insert into stale.product_months
    select distinct tenant_id, product_id, month from intermediate.int_product_months
    where tenant_id in (select tenant_id from {{ transform_scope() }} where is_whole)
    on conflict do nothing;

    insert into stale.tenants
    select tenant_id
    from {{ transform_scope() }} scope
    left join ops.tenant_marts marts using (tenant_id)
    where
        scope.is_whole
        or marts.as_of_date is distinct from scope.as_of_date
        or (scope.writes_history and not marts.has_history)
    on conflict do nothing;

    commit
    ;
{% endmacro %}

{#
    Note the changed objects of a kind; where all of them changed, or all of the tenant is to be made anew, these are
    all that raw has and all that the marts have.
#}
{% macro note_changed(object, kind, holders) %}
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
        union
        select tenant_id, {{ "id" if loop.first else key }}
        from {{ holder }}
        where tenant_id in (select tenant_id from everything)
    {% endfor %}
    on conflict do nothing;
{% endmacro %}

{#
    A hook for the end of a run that is no transform: where it made all marts, nothing is stale any more. (A transform
    is more than a run of dbt: it drops its keys itself.)
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
    {% for kind in [
        "orders",
        "renumbered_orders",
        "customers",
        "days",
        "product_months",
        "products",
        "checkouts",
        "carts",
        "tenants",
    ] %}
        {# What a transform of a tenant that is under way has noted since, it makes itself. #}
        delete from stale.{{ kind }}
        where
            tenant_id in (select tenant_id from {{ transform_scope() }})
            and tenant_id not in (select tenant_id from ops.transforms)
        ;
    {% endfor %}
    commit
    ;
{% endmacro %}

{# Whether this is a command of dbt that makes models; the hooks run with tests and seeds too. #}
{% macro makes_models() %}
    {{ return(execute and flags.WHICH in ("run", "build")) }}
{% endmacro %}
