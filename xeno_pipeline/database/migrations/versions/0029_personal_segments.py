"""Who is in a segment that asks for what only who may see people may know: shown to, and saved by, nobody else.

Revision: 0029
"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

COLUMNS = """
alter table ops.segments add column is_personal boolean;
alter table ops.segments add column may_be_personal boolean not null default true;
update ops.segments set is_personal = uses_personal where compiler_version is not null;
comment on column ops.segments.is_personal is
    'Whether its query, or one that it had before, asks for what only who may see people may know: who is and was in '
    'it is shown to nobody else. Never taken back; null until the first query is compiled.';
comment on column ops.segments.may_be_personal is 'Whether who saved the query may see people.';
"""

NOTING = """
create or replace function ops.forget_compiled_segment() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.changed_at := now();
    if tg_op = 'INSERT' or new.query <> old.query then
        new.condition := null;
        new.bound := null;
        new.is_dated := null;
        new.uses_personal := null;
        new.is_shopifys := null;
        new.compiler_version := null;
        new.problem := null;
        new.members_at_shopify := null;
        new.members_in_marts := null;
        new.compared_at := null;
        -- Whoever could write a condition could ask for anything.
        new.may_be_personal := has_column_privilege('ops.segments', 'condition', 'update')
            or new.tenant_id = any(ops.served_tenants('people'));
    end if;
    if tg_op = 'INSERT' then
        new.is_personal := null;
    end if;
    return new;
end
$$
"""

SECURE = """
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
                (
                    'tenant', 'select', to_regrole(ops.bi_group('tenants'))::oid,
                    'tenant_id = (select ops.bound_tenant())'
                ),
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

    if class.relkind = 'r' and to_regrole('xeno_serving') is not null
        and exists (
            select from pg_attribute where attrelid = relation and attname = 'segment_id' and not attisdropped
        )
        and not exists (
            select from pg_policy
            where polrelid = relation and polname = 'serving_segments'
            and polroles = array[to_regrole('xeno_serving')::oid]
        )
    then
        execute format('drop policy if exists serving_segments on %s', relation);
        execute format(
            'create policy serving_segments on %s as restrictive for select to xeno_serving using ('
            'tenant_id = any((select ops.served_tenants(''people''))::text[]) '
            'or segment_id <> all(array(select segment_id from ops.segments where is_personal is not false)))',
            relation
        );
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
"""

MATCHING = """
create or replace function ops.matching_segments(tenant text, today date, segments bigint[], customers bigint[])
returns table (segment_id bigint, customer_id bigint, net_sales numeric, orders_count bigint, rfm_segment text)
language plpgsql
set search_path = marts, pg_temp
as $$
declare
    segment record;
begin
    for segment in
        select saved.segment_id, saved.condition, saved.bound, saved.problem
        from ops.segments saved
        where saved.tenant_id = tenant and saved.segment_id = any(segments) and saved.removed_at is null
        order by saved.segment_id
    loop
        begin
            if segment.condition is null then
                raise exception using errcode = 'XE001';
            end if;
            return query execute
                'select $1, c.customer_id, c.net_sales, c.orders_count, c.rfm_segment '
                'from dim_customers c cross join (select $2::date as today, $3::jsonb as bound) q '
                'where c.tenant_id = $4 and '
                || case when customers is null then '' else 'c.customer_id = any($5) and ' end
                || segment.condition
            using segment.segment_id, today, segment.bound, tenant, customers;
            if segment.problem is not null then
                update ops.segments saved set problem = null
                where saved.tenant_id = tenant and saved.segment_id = segment.segment_id;
            end if;
        exception when others then
            -- Of connections, locks, resources, operators and the system: the segment is not to blame.
            if left(sqlstate, 2) in ('08', '40', '53', '55', '57', '58') then
                raise;
            end if;
            if sqlstate <> 'XE001' then
                update ops.segments saved set problem = 'It could not be evaluated: error ' || sqlstate || '.'
                where saved.tenant_id = tenant and saved.segment_id = segment.segment_id;
            end if;
            segment_id := segment.segment_id;
            customer_id := null;
            net_sales := null;
            orders_count := null;
            rfm_segment := null;
            return next;
        end;
    end loop;
end
$$;
comment on function ops.matching_segments is
    'The customers of a tenant that fit saved segments of it, all customers or those given: the only place where a '
    'saved condition is run. A segment that fails has a row without a customer (maybe beside matches), and a problem; '
    'an error that passes by itself is raised.';
"""

SIGNING = """
create or replace function ops.sign_in(link text, session_hash bytea) returns timestamptz
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with opened as (
        delete from ops.sign_in_links
        where secret_hash = sha256(convert_to(link, 'UTF8')) and expires_at > now()
        returning person_id
    ),
    noted as (
        insert into ops.audit_log (tenant_id, action, reason)
        select grants.tenant_id, 'signed in', 'person-' || opened.person_id
        from opened join ops.access_grants grants on grants.person_id = opened.person_id
    )
    insert into ops.access_keys (secret_hash, person_id, expires_at)
    select session_hash, person_id, now() + interval '30 days' from opened
    returning expires_at;
end;

create or replace function ops.sign_out(secret text) returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with ended as (
        delete from ops.access_keys
        where secret_hash = sha256(convert_to(secret, 'UTF8')) and person_id is not null
        returning person_id
    ),
    noted as (
        insert into ops.audit_log (tenant_id, action, reason)
        select grants.tenant_id, 'signed out', 'person-' || ended.person_id
        from ended join ops.access_grants grants on grants.person_id = ended.person_id
    )
    select exists (select from ended);
end;
"""

SECURED = """
update ops.serving_privileges set column_names = column_names || '{is_personal}'
where relation_name = 'ops.segments' and command = 'select';
select ops.admit_serving();
select ops.secure(oid)
from pg_class
where relkind = 'r'
and oid in (to_regclass('marts.segment_history'), to_regclass('intermediate.int_segments'))
"""


def upgrade() -> None:
    for statements in (COLUMNS, NOTING, SECURE, MATCHING, SIGNING, SECURED):
        op.execute(statements)
