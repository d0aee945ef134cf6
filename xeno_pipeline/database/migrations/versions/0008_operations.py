"""What operating needs: points used and their limit, reconciliations.

Revision: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.api_usage (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    day date not null,
    points double precision not null,
    requests bigint not null,
    primary key (tenant_id, day)
);
comment on table ops.api_usage is 'What a store''s Admin API was asked, by day in UTC: points charged, and requests.';

alter table ops.tenants add column monthly_points bigint check (monthly_points > 0);
comment on column ops.tenants.monthly_points is
    'Once so many points are used in a month (UTC), histories wait for the next one; null: no limit.';

create table ops.reconciliations (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    stream text not null,
    night date not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    read_in_full_at timestamptz,
    at_shopify bigint,
    in_raw bigint,
    windows integer not null default 0,
    windows_differing integer not null default 0,
    read_again integer not null default 0,
    gone integer not null default 0,
    refreshed integer not null default 0,
    customers_differing integer,
    error text,
    failing_since timestamptz,
    primary key (tenant_id, stream)
);
comment on table ops.reconciliations is 'The last comparison of each stream of a tenant with what Shopify has.';
comment on column ops.reconciliations.night is 'In the shop''s own time zone; a night is taken once.';
comment on column ops.reconciliations.read_in_full_at is 'When all ids were last read, not only counts compared.';
comment on column ops.reconciliations.at_shopify is 'As Shopify counts, once the differences found were mended.';
comment on column ops.reconciliations.in_raw is
    'As raw counts the same objects then; of abandoned checkouts it may have more, which Shopify forgets.';
comment on column ops.reconciliations.windows is 'Spans of creation of which counts were compared.';
comment on column ops.reconciliations.read_again is 'Objects that were missing or outdated in raw, and were read.';
comment on column ops.reconciliations.gone is 'Objects that Shopify has no more, and were marked so.';
comment on column ops.reconciliations.refreshed is
    'Customers whose RFM group or number of orders had changed without their updated_at.';
comment on column ops.reconciliations.customers_differing is
    'Of the stream orders: customers of whose orders raw holds another number than Shopify tells; null: not compared.';
comment on column ops.reconciliations.failing_since is 'Of the first failure without a success since; null: it worked.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
