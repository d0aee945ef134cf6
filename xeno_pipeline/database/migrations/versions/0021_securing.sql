-- What a secured relation is since revision 0021, and what the login xeno_serving may do.

create or replace function ops.secure(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $$
declare
    class pg_class;
    policy record;
    reader regrole;
begin
    select * into strict class from pg_class where oid = relation;

    if class.relkind = 'v' then
        if array_position(class.reloptions, 'security_invoker=true') is null then
            execute format('alter view %s set (security_invoker = true)', relation);
        end if;
    elsif class.relkind = 'r' then
        if not (class.relrowsecurity and class.relforcerowsecurity) then
            execute format('alter table %s enable row level security, force row level security', relation);
        end if;
        for policy in
            select name, command, role_oid, condition
            from (values
                ('owner', 'all', class.relowner, 'true'),
                ('tenant', 'select', to_regrole(ops.bi_group('tenants'))::oid, 'tenant_id = (select ops.bound_tenant())'),
                ('operator', 'select', to_regrole(ops.bi_group('operators'))::oid, 'true'),
                (
                    'serving', 'select', to_regrole('xeno_serving')::oid,
                    'tenant_id = any((select ops.served_tenants())::text[])'
                )
            ) as wanted (name, command, role_oid, condition)
            where role_oid is not null
            and not exists (
                select from pg_policy where polrelid = relation and polname = name and polroles = array[role_oid]
            )
        loop
            execute format('drop policy if exists %I on %s', policy.name, relation);
            execute format(
                'create policy %I on %s for %s to %s using (%s)',
                policy.name, relation, policy.command, policy.role_oid::regrole, policy.condition
            );
        end loop;
        if exists (select from pg_policy where polrelid = relation and polname = 'tenant' and polroles = '{0}') then
            execute format('drop policy tenant on %s', relation);
        end if;
    else
        raise exception '% is neither a table nor a view: row-level security knows nothing else', relation;
    end if;

    for reader in
        select role
        from (values (to_regrole(ops.bi_group('tenants'))), (to_regrole(ops.bi_group('operators')))) as readers (role)
        where role is not null and not has_table_privilege(role, relation, 'select')
    loop
        execute format('grant select on %s to %s', relation, reader);
    end loop;
    if to_regrole('xeno_serving') is not null then
        perform ops.grant_impersonal(relation);
    end if;
end
$$;
comment on function ops.secure(regclass) is
    'Make a mart, or a table that marts stand on, what a tenant may query: the owner and operators see all of its rows, a '
    'tenant its own, and the login xeno_serving those that its credential unlocks, without personal columns. Does '
    'nothing, and takes no lock, where all is as it should be.';

create function ops.grant_impersonal(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    personal text[] := ops.personal_columns_of(relation);
    is_view boolean := (select relkind = 'v' from pg_class where oid = relation);
    impersonal text;
begin
    if personal = '{}' then
        if not has_table_privilege('xeno_serving', relation, 'select') then
            execute format('grant select on %s to xeno_serving', relation);
        end if;
    elsif exists (
        select from pg_attribute
        where attrelid = relation and attnum > 0 and not attisdropped
        and has_column_privilege('xeno_serving', relation, attnum, 'select')
            <> (attname <> all(personal) and not is_view)
    ) then
        execute format('revoke select on %s from xeno_serving', relation);
        -- A view's columns would help nobody: whoever reads one needs what the whole view reads.
        if not is_view then
            select string_agg(quote_ident(attname), ', ' order by attnum) into impersonal
            from pg_attribute
            where attrelid = relation and attnum > 0 and not attisdropped and attname <> all(personal);
            execute format('grant select (%s) on %s to xeno_serving', impersonal, relation);
        end if;
    end if;
end
$$;
comment on function ops.grant_impersonal is
    'Grant the login xeno_serving what it may read of a relation: all but personal columns, and of a view with such '
    'columns nothing, since it reads the view of the same name in the schema serving.';

create function ops.personal_columns_of(relation regclass) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(array_agg(personal.column_name order by personal.column_name), '{}')
    from ops.personal_columns personal
    join pg_class on pg_class.oid = relation
    where personal.relation_name = pg_class.relnamespace::regnamespace || '.' || pg_class.relname;
end;
comment on function ops.personal_columns_of is 'The names of a relation''s personal columns.';

create function ops.secure(relation regclass, personal text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $$
declare
    class pg_class;
    source text;
    inner_name text;
    definition text;
begin
    select * into strict class from pg_class where oid = relation;
    if personal is distinct from ops.personal_columns_of(relation) then
        delete from ops.personal_columns
        where relation_name = class.relnamespace::regnamespace || '.' || class.relname;
        insert into ops.personal_columns
        select class.relnamespace::regnamespace || '.' || class.relname, name from unnest(personal) name;
    end if;
    perform ops.secure(relation);

    if class.relnamespace <> to_regnamespace('marts') then
        return;
    elsif personal = '{}' then
        execute format('drop view if exists serving.%I', class.relname);
        return;
    end if;
    -- What a view runs with the asker's rights does so within any other view: its query is taken, not its name.
    source := case class.relkind when 'v' then '(' || rtrim(pg_get_viewdef(relation), ';') || ')' else relation::text end;
    for inner_name in
        select distinct inner_class.relname
        from pg_rewrite
        join pg_depend on pg_depend.objid = pg_rewrite.oid and pg_depend.classid = 'pg_rewrite'::regclass
        join pg_class inner_class on inner_class.oid = pg_depend.refobjid and inner_class.oid <> relation
        where pg_rewrite.ev_class = relation
        and inner_class.relnamespace = to_regnamespace('marts') and inner_class.relkind = 'v'
        and ops.personal_columns_of(inner_class.oid) <> '{}'
    loop
        source := regexp_replace(source, '\mmarts\.' || inner_name || '\M', 'serving.' || inner_name, 'g');
    end loop;
    select format(
        'view serving.%I with (security_barrier = true) as select %s from %s served '
        'where tenant_id = any((select ops.served_tenants())::text[])',
        class.relname,
        string_agg(
            format(
                case
                    when attname = any(personal)
                    then 'case when tenant_id = any((select ops.served_tenants(''people''))::text[]) then %1$I end as %1$I'
                    else '%1$I'
                end,
                attname
            ),
            ', ' order by attnum
        ),
        source
    )
    into definition
    from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped;
    begin
        execute 'create or replace ' || definition;
    exception when invalid_table_definition then
        execute format('drop view serving.%I', class.relname);
        execute 'create ' || definition;
    end;
    if to_regrole('xeno_serving') is not null then
        execute format('grant select on serving.%I to xeno_serving', class.relname);
    end if;
end
$$;
comment on function ops.secure(regclass, text[]) is
    'The same where relations are made: remember which columns are personal, and make the view in the schema serving '
    'that shows these to whom they may be shown.';

create function ops.admit_serving() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $$
declare
    privilege ops.serving_privileges;
    relation regclass;
begin
    if to_regrole('xeno_serving') is null then
        return;
    end if;
    grant usage on schema marts, serving, ops to xeno_serving;
    grant execute on function
        ops.served_tenants(text), ops.unlock(text), ops.note_use(text), ops.sign_in(text, bytea), ops.sign_out(text)
    to xeno_serving;
    for relation in select oid from pg_class where relnamespace = to_regnamespace('serving') and relkind = 'v'
    loop
        execute format('grant select on %s to xeno_serving', relation);
    end loop;

    for privilege in select * from ops.serving_privileges
    loop
        relation := privilege.relation_name::regclass;
        if not (select relrowsecurity from pg_class where oid = relation) then
            execute format('alter table %s enable row level security', relation);
        end if;
        if not exists (
            select from pg_policy where polrelid = relation and polname = 'serving_' || privilege.command
        ) then
            execute format(
                'create policy %I on %s for %s to xeno_serving '
                || case privilege.command
                    when 'insert' then 'with check (%4$s)'
                    when 'update' then 'using (%4$s) with check (%4$s)'
                    else 'using (%4$s)'
                end,
                'serving_' || privilege.command, relation, privilege.command,
                format('tenant_id = any((select ops.served_tenants(%L))::text[])', privilege.scope)
            );
        end if;
        execute format(
            'grant %s %s on %s to xeno_serving',
            privilege.command,
            (select '(' || string_agg(quote_ident(name), ', ') || ')' from unnest(privilege.column_names) name),
            relation
        );
    end loop;
end
$$;
comment on function ops.admit_serving is
    'Grant the login xeno_serving, where the server knows it, what it may do beside reading marts (ops.secure): to exchange '
    'secrets, and what ops.serving_privileges says of tables of ops. May be called again.';
