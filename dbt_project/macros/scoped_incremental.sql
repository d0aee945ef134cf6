{# sqlfmt takes some of these statements for one thing before formatting and for another after: it is off. #}
-- fmt: off
{#
    The incremental strategy `scoped`: bring the target's rows of the model's stale keys to what the model selects.

    Rows that the selection lacks are deleted, rows that differ are updated, new ones inserted; all others, and all
    other tenants' rows, stay untouched. What is made from the rows that change becomes stale with them. No shared
    relation is altered, so transforms of disjoint tenants run side by side, and a reader sees each table before or
    after, never between.

    Full joins in models. The planner may take thousands of stale rows for one, because it knows only the average over
    tenants, and then chooses a nested loop over a CTE, which is quadratic. A full join cannot be a nested loop: it is a
    hash or merge join. So some models write a left join of two CTEs as a full join with a condition that the left row is
    there (`coalesce(products.is_there, false)`).
#}
{% macro get_incremental_scoped_sql(arg_dict) %}
    {% set target = arg_dict["target_relation"] %}
    {% set selected = arg_dict["temp_relation"] %}
    {% set key = arg_dict["unique_key"] %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="name") | list %}
    {% set others = columns | reject("in", key) | list %}
    {% set kind = stale_kinds()[0] %}
    {% set marks = model.config.meta.get("marks", {}) %}

    {% set same_key %}
        {% for column in key %} new.{{ column }} = old.{{ column }}{{ " and " if not loop.last }} {% endfor %}
    {% endset %}
    {% set same_row %}
        {{ same_key }} {% if others %} and {{ row_of("new", others) }} is not distinct from {{ row_of("old", others) }} {% endif %}
    {% endset %}

    {#
        Autovacuum does not analyze a temporary table; it is joined by its key, whose statistics are enough. Even so the
        planner may take thousands of stale rows for one (tenants differ in size, and it knows their average). With an
        index, that is slower but not quadratic.
    #}
    create unique index on {{ selected }} ({{ key | join(", ") }})
    ;
    analyze {{ selected }} ({{ key | join(", ") }})
    ;

    {% if marks %}
        {% set marked = marks.values() | sum(start=[]) | unique | list %}
        create temporary table {{ target.identifier }}__changed on commit drop as
        select {{ (["tenant_id"] + marked) | join(", ") }}
        from {{ selected }} new
        where not exists (select from {{ target }} old where {{ same_row }})
        union all
        select {{ (["tenant_id"] + marked) | join(", ") }}
        from {{ selected }} new
        where new.tenant_id in (select tenant_id from {{ transform_scope() }} where is_whole)
        union all
        select {{ prefixed("old", ["tenant_id"] + marked) }}
        from {{ at_stake(target, kind) }}
        where not exists (select from {{ selected }} new where {{ same_row }})
        ;

        {{ mark_stale(target.identifier ~ "__changed") }}
    {% endif %}

    delete from {{ target }} old
    using {{ stale(kind) }} stale_key
    where
        {{ has_stale_key(kind) }}
        and not exists (select from {{ selected }} new where {{ same_key }})
    ;

    insert into {{ target }} as target ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from {{ selected }} new
    where not exists (select from {{ target }} old where {{ same_row }})
    on conflict ({{ key | join(", ") }}) do
    {% if others %}
        update
        set {% for column in others %} {{ column }} = excluded.{{ column }}{{ ", " if not loop.last }} {% endfor %}
    {% else %} nothing
    {% endif %}
{% endmacro %}

{# Mark the keys of what is made from rows of the model that changed. #}
{% macro mark_stale(changed) %}
    {% for kind, columns in model.config.meta.get("marks", {}) | dictsort %} {{ mark_stale_keys(kind, columns, changed) }}; {% endfor %}
    {{ mark_further() }}
{% endmacro %}

{# Mark the keys of one kind, in columns of a relation. #}
{% macro mark_stale_keys(kind, columns, changed) %}
    insert into stale.{{ kind }}
    select distinct {{ prefixed("changed", ["tenant_id"] + columns) }}
    from {{ changed }} changed
    {% if columns %} where {{ columns | join(" is not null and ") }} is not null {% endif %}
    on conflict do nothing
{% endmacro %}

{# Mark what only a macro can say, after the keys themselves. #}
{% macro mark_further() %}
    {% set further = model.config.meta.get("marks_by") %}
    {% if further %} {{ context[further]() }}; {% endif %}
{% endmacro %}

{#
    dbt's incremental materialization, but for what a transform knows. The table is there, its columns are those of the
    contract, the query fits them, and tenants see of it what they may: all of that was seen to when the relations were
    made, so a transform asks the database nothing again and runs no hook. Where no key is stale there is nothing to do.
    And where rows are made by keys of which the target has no row yet, as in a tenant's first build, there is nothing to
    compare, and rows go where they belong at once.
#}
{% materialization incremental, adapter = "postgres" %}
    {% if not is_transform() %} {{ return(materialization_incremental_default()) }} {% endif %}

    {% if not is_stale() %}
        {{ store_raw_result("main", message="INSERT 0 0", code="INSERT", rows_affected=0) }}
        {{ return({"relations": [this]}) }}
    {% endif %}

    {% set strategy = config.get("incremental_strategy") %}
    {% set are_new = makes_only_new_rows() %}
    {% if strategy == "scoped" and are_new %} {{ insert_new_rows() }}
    {% else %} {{ apply_strategy(strategy) }}
    {% endif %}
    {% set statistics = analyze_grown(this, are_new) | trim %}
    {% if statistics %} {% call statement("grown") %} {{ statistics }} {% endcall %} {% endif %}
    {{ adapter.commit() }}
    {{ return({"relations": [this]}) }}
{% endmaterialization %}

{# Whether any of the model's keys is stale. #}
{% macro is_stale() %}
    {% set any = [] %}
    {% for kind in stale_kinds() %} {% do any.append("exists (select from " ~ stale(kind) ~ " stale_key)") %} {% endfor %}
    {{ return(ask_before("select " ~ any | join(" or "))) }}
{% endmacro %}

{# Analyze the model's stale keys; whether its table has no row by them. #}
{% macro makes_only_new_rows() %}
    {{ return(ask_before(analyze_stale_keys() ~ "select not exists (select from " ~ at_stake(this, stale_kinds()[0]) ~ ")")) }}
{% endmacro %}

{#
    The one value that a query gives, before the model's transaction begins: others' transforms would wait for the end of
    a transaction that analyzes stale keys. Not by run_query, which makes a table of the answer in ten times the time.
#}
{% macro ask_before(query) %}
    {{ return(adapter.add_query("commit; " ~ query, auto_begin=False)[1].fetchone()[0]) }}
{% endmacro %}

{# Select the model's rows into a table of their own, and let a strategy bring the target to them. #}
{% macro apply_strategy(strategy) %}
    {% set columns = [] %}
    {% for name in model.columns %} {% do columns.append({"name": name}) %} {% endfor %}
    {% set selected = make_temp_relation(this) %}
    {% set build = adapter.get_incremental_strategy_macro(context, strategy) %}
    {#
        Like the target, not as the query has it: raw's texts have a collation of their own, and a comparison with them
        could use no index of the target.
    #}
    {% call statement("main") %}
        create temporary table {{ selected }} (like {{ this }}) on commit drop
        ;
        insert into {{ selected }} ({{ model.columns.keys() | join(", ") }})
        {{ sql }}
        ;
        {{
            build(
                {
                    "target_relation": this,
                    "temp_relation": selected,
                    "unique_key": config.get("unique_key"),
                    "dest_columns": columns,
                }
            )
        }}
    {% endcall %}
{% endmacro %}

{#
    Insert the rows that the model selects: the target has none by its stale keys. The same statement marks what is made
    from them, because to find them in the table afterwards takes longer.
#}
{% macro insert_new_rows() %}
    {% set columns = model.columns.keys() | list %}
    {% set marks = model.config.meta.get("marks", {}) %}
    {% set insert %}
        insert into {{ this }} ({{ columns | join(", ") }})
        select {{ columns | join(", ") }}
        from ({{ sql }}) new
    {% endset %}
    {% if marks %}
        {% set marked = ["tenant_id"] + (marks.values() | sum(start=[]) | unique | list) %}
        {% call statement("inserted", fetch_result=True) %}
            with
                inserted as ({{ insert }} returning {{ marked | join(", ") }})
                {% for kind, columns in marks | dictsort %}
                    , marked_{{ kind }} as ({{ mark_stale_keys(kind, columns, "inserted") }})
                {% endfor %}
            select count(*) from inserted
        {% endcall %}
        {% set rows = load_result("inserted")["data"][0][0] %}
        {{ store_raw_result("main", message="INSERT 0 " ~ rows, code="INSERT", rows_affected=rows) }}
    {% else %} {% call statement("main") %} {{ insert }} {% endcall %}
    {% endif %}
    {% set further = mark_further() | trim %}
    {% if further %} {% call statement("further") %} {{ further }} {% endcall %} {% endif %}
{% endmacro %}

{# The rows of a table that have a stale key. #}
{% macro at_stake(relation, kind) -%}
    {{ relation }} old join {{ stale(kind) }} stale_key on {{ has_stale_key(kind) }}
{%- endmacro %}

{% macro has_stale_key(kind) -%}
    stale_key.tenant_id = old.tenant_id
    {%- for column in key_columns(kind) %} and stale_key.{{ column }} = old.{{ column }} {%- endfor -%}
{%- endmacro %}

{% macro prefixed(alias, columns) -%}
    {%- for column in columns -%} {{ alias }}.{{ column }}{{ ", " if not loop.last }} {%- endfor -%}
{%- endmacro %}

{% macro row_of(alias, columns) -%} row({{ prefixed(alias, columns) }}) {%- endmacro %}

{#
    A hook for after a model: refresh the planner's statistics where the model grew by much for what it was. A table that
    was empty a moment ago would otherwise be joined as if it still were, by the models that follow in the same run; and a
    new tenant's rows one by one, because nothing is known of them (`are_new`), among whatever many of others.
#}
{% macro analyze_grown(relation, are_new=False) %}
    {% set built = load_result("main") %}
    {% set written = (built["response"].rows_affected or 0) if built else 0 %}
    {% if execute and written > 1000 %}
        {% set known = run_query("select reltuples from pg_class where oid = '" ~ relation ~ "'::regclass") %}
        {% if are_new or written * 10 > known.columns[0].values()[0] %} analyze {{ relation }} {% endif %}
    {% endif %}
{% endmacro %}
