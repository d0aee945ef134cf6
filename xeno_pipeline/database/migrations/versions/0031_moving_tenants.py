"""Tenants that move to another installation: read by BI tools and insights, written by nobody.

Segments keep their numbers in a move, so that a number alone no longer says whose segment is meant.

Revision: 0031
"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

STATUS = """
alter table ops.tenants drop constraint tenants_status_check;
alter table ops.tenants add constraint tenants_status_check
    check (status in ('active', 'suspended', 'moving', 'removed'));
alter table ops.tenants add column exported_at timestamptz;
comment on column ops.tenants.exported_at is
    'When it was last exported to another installation; webhooks that came later are in no archive.';
"""

BOUND = """
create or replace function ops.bound_tenant() returns text
language sql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select bi_roles.tenant_id
    from ops.bi_roles
    join ops.tenants on tenants.tenant_id = bi_roles.tenant_id
    where bi_roles.role_name = session_user
    and bi_roles.database_oid = (select oid from pg_database where datname = current_database())
    and tenants.status in ('active', 'moving');
end
"""

UNLOCKED = """
create or replace view ops.unlocked_grants as
    select distinct on (tenants.tenant_id)
        tenants.tenant_id,
        case
            when tenants.status = 'moving'
            then array(select scope from unnest(grants.scopes) scope where scope in ('read', 'people'))
            else grants.scopes
        end as scopes
    from ops.access_keys keys
    join ops.access_grants grants on grants.key_id = keys.key_id or grants.person_id = keys.person_id
    join ops.tenants on tenants.tenant_id = grants.tenant_id or grants.tenant_id is null
    where keys.secret_hash = sha256(convert_to(current_setting('xeno.credential', true), 'UTF8'))
    and (keys.expires_at is null or keys.expires_at > now())
    and tenants.status in ('active', 'moving')
    order by tenants.tenant_id, grants.tenant_id nulls last;
comment on view ops.unlocked_grants is
    'What the secret in the setting xeno.credential may do, by tenant that is active, or moving and so only read. The '
    'setting names no tenant: changing it helps only who holds another secret.'
"""

SECURE = """
do $$
declare
    definition text := pg_get_functiondef('ops.secure(regclass)'::regprocedure);
    former constant text := 'or segment_id <> all(array('
        'select segment_id from ops.segments where is_personal is not false))';
    wanted constant text := 'or (tenant_id, segment_id) not in '
        '(select tenant_id, segment_id from ops.segments where is_personal is not false)';
    relation regclass;
begin
    if strpos(definition, former) = 0 then
        raise exception 'ops.secure does not restrict segments as this migration expects';
    end if;
    execute replace(definition, former, wanted);
    for relation in select polrelid from pg_policy where polname = 'serving_segments'
    loop
        execute format('drop policy serving_segments on %s', relation);
        perform ops.secure(relation);
    end loop;
end
$$
"""


def upgrade() -> None:
    for statement in (*STATUS.split(";\n"), BOUND, *UNLOCKED.split(";\n"), SECURE):
        if statement.strip():
            op.execute(statement)
