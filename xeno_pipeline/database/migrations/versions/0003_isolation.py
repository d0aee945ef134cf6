"""Isolation of tenants by row-level security: who is bound to which tenant, and what a secured relation is.

Revision: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
create schema if not exists marts;
create schema if not exists core;

create table ops.bi_roles (
    role_name name primary key,
    database_oid oid not null,
    tenant_id text collate "C" references ops.tenants on delete cascade,
    created_at timestamptz not null default now(),
    unique nulls not distinct (database_oid, tenant_id)
);
comment on table ops.bi_roles is
    'The login roles of BI tools, and the tenant that each is bound to. Only the owner may read or write it.';
comment on column ops.bi_roles.database_oid is
    'Roles are the whole cluster''s: in a copy of the database these rows bind nobody.';
comment on column ops.bi_roles.tenant_id is
    'Null: an operator''s role, which is bound to no tenant, and sees all by its group.';
"""

FUNCTIONS = """
create function ops.bi_group(kind text) returns text
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
return 'xeno_' || kind || '_' || (select oid from pg_database where datname = current_database());
comment on function ops.bi_group is
    'The name of this database''s group role of a kind (tenants, operators), whether it exists or not.';

create function ops.bound_tenant() returns text
language sql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select bi_roles.tenant_id
    from ops.bi_roles
    join ops.tenants on tenants.tenant_id = bi_roles.tenant_id
    where bi_roles.role_name = session_user
    and bi_roles.database_oid = (select oid from pg_database where datname = current_database())
    and tenants.status = 'active';
end;
comment on function ops.bound_tenant is
    'The tenant that the session''s login is bound to, else null. Neither SET ROLE nor any setting changes a login.';

create function ops.secure(relation regclass) returns void
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
                ('tenant', 'select', 0::oid, 'tenant_id = (select ops.bound_tenant())'),
                ('operator', 'select', to_regrole(ops.bi_group('operators'))::oid, 'true')
            ) as wanted (name, command, role_oid, condition)
            where role_oid is not null
            and not exists (
                select from pg_policy where polrelid = relation and polname = name and polroles = array[role_oid]
            )
        loop
            execute format('drop policy if exists %I on %s', policy.name, relation);
            execute format(
                'create policy %I on %s for %s to %s using (%s)',
                policy.name, relation, policy.command,
                case policy.role_oid when 0 then 'public' else policy.role_oid::regrole::text end, policy.condition
            );
        end loop;
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
end
$$;
comment on function ops.secure is
    'Make a table or view of marts or core what a tenant may query: the owner and operators see all of its rows, a '
    'tenant its own. Does nothing, and takes no lock, where all is as it should be.';
"""

PUBLIC = "revoke execute on function ops.bi_group(text), ops.bound_tenant(), ops.secure(regclass) from public"


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(PUBLIC)
