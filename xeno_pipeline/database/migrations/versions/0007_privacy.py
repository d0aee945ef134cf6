"""Privacy requests and the suppression list.

Revision: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.privacy_requests (
    id bigint generated always as identity primary key,
    tenant_id text collate "C",
    shop_domain text not null,
    kind text not null check (kind in ('customers/data_request', 'customers/redact', 'shop/redact')),
    webhook_id text not null,
    data_request_id bigint,
    customer_id bigint,
    order_ids bigint[] not null default '{}',
    received_at timestamptz not null default clock_timestamp(),
    deadline_at timestamptz not null default clock_timestamp() + interval '30 days',
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    error text,
    outcome text,
    done_at timestamptz,
    export_file text,
    unique (shop_domain, webhook_id),
    unique (shop_domain, data_request_id)
);
create index on ops.privacy_requests (deadline_at) where done_at is null;
create index on ops.privacy_requests (tenant_id, customer_id);
comment on table ops.privacy_requests is
    'The audit of what Shopify asked for by the mandatory privacy webhooks. It outlives tenants and holds ids, '
    'never an email, a phone or a name.';
comment on column ops.privacy_requests.tenant_id is 'Null where the shop was unknown, or is removed.';
comment on column ops.privacy_requests.deadline_at is
    'By then it must be done: https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance';
comment on column ops.privacy_requests.outcome is 'What was done; set with the work itself, before the marts follow.';
comment on column ops.privacy_requests.done_at is 'When nothing was left to do, in the marts either.';
comment on column ops.privacy_requests.export_file is 'Below XENO_HOME/exports; null once it is deleted.';

create table ops.suppressed (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    object text not null check (object in ('customers', 'orders')),
    object_id bigint not null,
    suppressed_at timestamptz not null default now(),
    primary key (tenant_id, object, object_id)
);
comment on table ops.suppressed is
    'Customers who were redacted, and orders of theirs: whatever is loaded of them is emptied of what is personal.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
