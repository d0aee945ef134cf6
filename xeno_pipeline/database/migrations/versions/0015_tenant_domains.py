"""The domains by which a tenant is known besides its current one: a store may be renamed.

Revision: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.tenant_domains (
    domain text collate "C" primary key,
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    added_at timestamptz not null default now()
);
create index on ops.tenant_domains (tenant_id);
comment on table ops.tenant_domains is
    'Domains that a tenant''s shop had, or that led to it; of two tenants, of the one that had it last.';

insert into ops.tenant_domains (domain, tenant_id)
select tenant_id || '.myshopify.com', tenant_id from ops.tenants
where status <> 'removed' and shop_domain <> tenant_id || '.myshopify.com';

create view ops.known_domains as
    select shop_domain as domain, tenant_id, true as is_current
    from ops.tenants
    where status <> 'removed'
    union all
    select former.domain, former.tenant_id, false
    from ops.tenant_domains former
    join ops.tenants on tenants.tenant_id = former.tenant_id and tenants.status <> 'removed'
    where not exists (
        select from ops.tenants holder where holder.shop_domain = former.domain and holder.status <> 'removed'
    );
comment on view ops.known_domains is
    'Whose each domain is: the tenant''s whose current one it is, else the one''s who had it last.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
