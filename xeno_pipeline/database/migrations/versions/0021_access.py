"""Who may ask the marts: people and keys, and the login that sees nothing until one of their secrets unlocks it.

Revision: 0021
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = """
create schema serving;
comment on schema serving is
    'Marts with personal columns as the login xeno_serving sees them: null where its credential may not see people.';

create table ops.people (
    person_id bigint generated always as identity primary key,
    email text not null unique check (email = lower(email)),
    created_at timestamptz not null default now()
);
comment on table ops.people is 'Who signs in by a link. Nobody has a password.';

create table ops.access_keys (
    key_id bigint generated always as identity primary key,
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    name text unique,
    person_id bigint references ops.people on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_on date,
    check ((name is null) <> (person_id is null))
);
create index on ops.access_keys (person_id);
comment on table ops.access_keys is
    'Secrets that unlock tenants, as SHA-256: named keys of programs, and the sessions of people who signed in.';
comment on column ops.access_keys.name is 'Of a key; null for a session.';
comment on column ops.access_keys.person_id is 'Whose session it is; null for a key.';
comment on column ops.access_keys.last_used_on is 'A day in UTC.';

create table ops.access_grants (
    grant_id bigint generated always as identity primary key,
    person_id bigint references ops.people on delete cascade,
    key_id bigint references ops.access_keys on delete cascade,
    tenant_id text collate "C" references ops.tenants on delete cascade,
    role text check (role in ('viewer', 'analyst', 'operator')),
    scopes text[] not null check (scopes <@ array['read', 'people', 'segments', 'sync'] and scopes <> '{}'),
    check ((person_id is null) <> (key_id is null)),
    check ((role is null) = (person_id is null)),
    unique nulls not distinct (person_id, key_id, tenant_id)
);
create index on ops.access_grants (key_id);
create index on ops.access_grants (tenant_id);
comment on table ops.access_grants is
    'What people and keys may do, by tenant. Where one has a grant for a tenant and one for all, the former counts.';
comment on column ops.access_grants.tenant_id is 'Null: all tenants, those to come included.';
comment on column ops.access_grants.role is 'Of people: the name of their scopes.';

create table ops.sign_in_links (
    secret_hash bytea primary key check (length(secret_hash) = 32),
    person_id bigint not null references ops.people on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index on ops.sign_in_links (person_id);
comment on table ops.sign_in_links is 'Links that were not opened yet. Each opens one session, and is deleted by that.';

create table ops.personal_columns (
    relation_name text not null,
    column_name text not null,
    primary key (relation_name, column_name)
);
comment on table ops.personal_columns is
    'The columns of marts and intermediate that hold what names a person, as the dbt project says (`meta: personal`).';

create table ops.serving_privileges (
    relation_name text not null,
    command text not null check (command in ('select', 'insert', 'update', 'delete')),
    scope text not null check (scope in ('read', 'people', 'segments', 'sync')),
    column_names text[],
    primary key (relation_name, command)
);
comment on table ops.serving_privileges is
    'What the login xeno_serving may do with tables of ops that have a tenant_id: ops.admit_serving grants it.';
comment on column ops.serving_privileges.scope is 'The scope that the credential must have in the row''s tenant.';
comment on column ops.serving_privileges.column_names is 'Null: all. A command that names no column (delete) has null.';

alter table ops.audit_log alter column tenant_id drop not null;
comment on column ops.audit_log.tenant_id is 'Null: it concerns all tenants, those to come included.';
"""

CREDENTIALS = """
create view ops.unlocked_grants as
    select distinct on (tenants.tenant_id) tenants.tenant_id, grants.scopes
    from ops.access_keys keys
    join ops.access_grants grants on grants.key_id = keys.key_id or grants.person_id = keys.person_id
    join ops.tenants on tenants.tenant_id = grants.tenant_id or grants.tenant_id is null
    where keys.secret_hash = sha256(convert_to(current_setting('xeno.credential', true), 'UTF8'))
    and (keys.expires_at is null or keys.expires_at > now())
    and tenants.status = 'active'
    order by tenants.tenant_id, grants.tenant_id nulls last;
comment on view ops.unlocked_grants is
    'What the secret in the setting xeno.credential may do, by active tenant. The setting names no tenant: changing it '
    'helps only who holds another secret.';

create function ops.served_tenants(scope text default 'read') returns text[]
language sql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(array_agg(tenant_id), '{}') from ops.unlocked_grants where scope = any(scopes);
end;
comment on function ops.served_tenants is
    'The active tenants in which the secret in the setting xeno.credential has the scope.';

create function ops.unlock(secret text)
returns table (kind text, subject_id text, name text, stores jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('xeno.credential', secret, true);
    return query
        select
            case when keys.person_id is null then 'key' else 'person' end,
            case when keys.person_id is null then 'key-' || keys.key_id else 'person-' || keys.person_id end,
            coalesce(keys.name, people.email),
            (
                select coalesce(jsonb_object_agg(unlocked.tenant_id, unlocked.scopes), '{}')
                from ops.unlocked_grants unlocked
            )
        from ops.access_keys keys
        left join ops.people on people.person_id = keys.person_id
        where keys.secret_hash = sha256(convert_to(secret, 'UTF8'))
        and (keys.expires_at is null or keys.expires_at > now());
end
$$;
comment on function ops.unlock is
    'Make the secret the transaction''s credential, and say whose it is and what it may do; no row if it is unknown.';

create function ops.note_use(secret text) returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    update ops.access_keys
    set last_used_on = (now() at time zone 'UTC')::date
    where secret_hash = sha256(convert_to(secret, 'UTF8'))
    and (expires_at is null or expires_at > now())
    and last_used_on is distinct from (now() at time zone 'UTC')::date;
    select exists (
        select from ops.access_keys
        where secret_hash = sha256(convert_to(secret, 'UTF8')) and (expires_at is null or expires_at > now())
    );
end;
comment on function ops.note_use is
    'Remember that a secret was used today: one write a day. False where it is unknown.';

create function ops.sign_in(link text, session_hash bytea) returns timestamptz
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with opened as (
        delete from ops.sign_in_links
        where secret_hash = sha256(convert_to(link, 'UTF8')) and expires_at > now()
        returning person_id
    )
    insert into ops.access_keys (secret_hash, person_id, expires_at)
    select session_hash, person_id, now() + interval '30 days' from opened
    returning expires_at;
end;
comment on function ops.sign_in is
    'Exchange the secret of a link, which is used up by that, for a session of which the hash of the secret is given. '
    'Returns when the session ends; null where the link is unknown, used or too old.';

create function ops.sign_out(secret text) returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with ended as (
        delete from ops.access_keys
        where secret_hash = sha256(convert_to(secret, 'UTF8')) and person_id is not null
        returning key_id
    )
    select exists (select from ended);
end;
comment on function ops.sign_out is 'End the session of a secret. False where there is none; keys are no sessions.';

create function ops.forget_without_access() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from ops.people where not exists (select from ops.access_grants g where g.person_id = people.person_id);
    delete from ops.access_keys
    where person_id is null and not exists (select from ops.access_grants g where g.key_id = access_keys.key_id);
    return null;
end
$$;
create trigger forget_without_access after delete on ops.access_grants
for each statement execute function ops.forget_without_access();
comment on function ops.forget_without_access is
    'Who has lost the last grant, by a revocation or with a removed tenant, is forgotten: nothing is left to do.';
"""

SECURING = Path(__file__).with_name("0021_securing.sql").read_text()

PUBLIC = """
revoke execute on function
    ops.served_tenants(text), ops.unlock(text), ops.note_use(text), ops.sign_in(text, bytea), ops.sign_out(text),
    ops.forget_without_access(), ops.grant_impersonal(regclass), ops.personal_columns_of(regclass),
    ops.secure(regclass, text[]), ops.admit_serving()
from public
"""

ROLE = """
do $$
begin
    if to_regrole('xeno_serving') is null then
        create role xeno_serving login;
        alter role xeno_serving set default_transaction_read_only = on;
        alter role xeno_serving set search_path = serving, marts;
        alter role xeno_serving set statement_timeout = '15s';
        alter role xeno_serving set idle_in_transaction_session_timeout = '5min';
    end if;
exception
    when insufficient_privilege then null;  -- `xeno db migrate` says what an administrator must run
    when duplicate_object or unique_violation then null;  -- another database's migration was quicker
end
$$
"""

SERVED = """
insert into ops.serving_privileges values
    ('ops.tenant_marts', 'select', 'read', '{tenant_id, as_of_date, transformed_at}')
"""


def upgrade() -> None:
    for statements in (TABLES, CREDENTIALS, SECURING, PUBLIC, ROLE, SERVED):
        op.execute(statements)
    op.execute("select ops.admit_serving()")
