{#
    dbt's view, except that a transform leaves an existing one alone: it is made once, by `xeno db migrate` (or by a
    plain `dbt build`). Two concurrent dbt runs that recreate the same views fail now and then.
#}
{% materialization view, adapter = "postgres" %}
    {% set target = this.incorporate(type="view") %}
    {% set existing = load_cached_relation(this) %}

    {% if existing is not none and is_transform() %}
        {{ store_raw_result("main", message="SELECT", code="SELECT", rows_affected=0) }}
        {{ return({"relations": [target]}) }}
    {% endif %}

    {{ run_hooks(pre_hooks) }}
    {% if config.get("contract").enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    {% if existing is not none and not existing.is_view %}
        {{ drop_relation(existing) }}
    {% endif %}
    {% set options = "with (security_invoker = true)" if config.get("meta").security_invoker %}
    {# Replaced in place, what others built on the view stays; only where columns go or change it cannot be. #}
    {% call statement("main") %}
        do $view$
        begin
            create or replace view {{ target }} {{ options }} as ({{ sql }});
        exception when invalid_table_definition then
            drop view {{ target }} cascade;
            create view {{ target }} {{ options }} as ({{ sql }});
        end
        $view$
    {% endcall %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}

    {{ return({"relations": [target]}) }}
{% endmaterialization %}
