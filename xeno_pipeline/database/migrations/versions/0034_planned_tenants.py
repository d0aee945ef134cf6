"""The planner knows which tenant a BI tool's session is bound to, so a query is planned for as many rows as it has.

Revision: 0034
"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

# A login is bound for its lifetime, so that within a session this is as good as immutable. Whether the tenant may be
# seen at the moment is asked of `bound_tenant` at each execution: a plan that was kept shows nothing that it may not.
# It tells a login nothing but its own tenant, so that anybody may call it.
FUNCTION = """
create function ops.tenant_of_login() returns text
language sql immutable security definer parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select bi_roles.tenant_id
    from ops.bi_roles
    where bi_roles.role_name = session_user
    and bi_roles.database_oid = (select oid from pg_database where datname = current_database());
end;
comment on function ops.tenant_of_login is
    'The tenant that the session''s login was made for, active or not: for the planner, which evaluates it. What may '
    'be seen is said by ops.bound_tenant.';
"""

POLICIES = """
do $$
declare
    definition text := pg_get_functiondef('ops.secure(regclass)'::regprocedure);
    former constant text := '''tenant_id = (select ops.bound_tenant())''';
    wanted constant text := 'tenant_id = ops.tenant_of_login() and ops.tenant_of_login() = (select ops.bound_tenant())';
    relation regclass;
begin
    if strpos(definition, former) = 0 then
        raise exception 'ops.secure does not bind tenants as this migration expects';
    end if;
    execute replace(definition, former, quote_literal(wanted));
    for relation in select polrelid from pg_policy where polname = 'tenant'
    loop
        execute format('alter policy tenant on %s using (%s)', relation, wanted);
    end loop;
end
$$
"""


def upgrade() -> None:
    op.execute(FUNCTION)
    op.execute(POLICIES)
