"""Carts, and what subscriptions a store has.

Revision: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table raw.orders add column cart_token text;
create table raw.carts (
    tenant_id text collate "C" not null,
    id bigint not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    cart_id text not null,
    created_at timestamptz,
    query_version integer not null,
    loaded_at timestamptz not null default now(),
    payload jsonb not null,
    primary key (tenant_id, id)
) with (toast_tuple_target = 8160);
comment on table raw.carts is
    'Carts as their webhooks brought them, without a person: the Admin API does not show carts.';
comment on column raw.carts.id is 'A number made from cart_id, which is a text at Shopify.';

create table stale.carts (
    tenant_id text not null,
    cart_number bigint not null,
    primary key (tenant_id, cart_number)
);
comment on table stale.carts is 'Carts that changed in raw.';

alter table ops.webhook_inbox add column payload jsonb;
alter table ops.webhook_inbox add constraint only_carts_are_landed check (payload is null or stream = 'carts');
comment on column ops.webhook_inbox.payload is
    'What is to be landed as it came, without a person; null once it is in raw, and for all that is read back.';

alter table ops.tenants add column connected_at timestamptz not null default now();
comment on column ops.tenants.connected_at is
    'When its store was last connected: an uninstallation that Shopify tells of later may be from before.';

create table ops.webhook_subscriptions (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    callback_url text not null,
    compared_at timestamptz not null default now(),
    missing text[] not null default '{}',
    error text
);
comment on table ops.webhook_subscriptions is
    'What the last comparison of a store''s webhook subscriptions with what it should have left to be desired.';
comment on column ops.webhook_subscriptions.callback_url is
    'Where ours point to: subscriptions to any other address are not ours.';
comment on column ops.webhook_subscriptions.missing is 'Topics that are still not subscribed, such as orders/create.';
comment on column ops.webhook_subscriptions.error is 'Why there was no comparison, or why topics are missing.';

create table ops.audit_log (
    id bigint generated always as identity primary key,
    happened_at timestamptz not null default now(),
    tenant_id text collate "C" not null,
    action text not null,
    reason text not null
);
create index on ops.audit_log (tenant_id, happened_at);
comment on table ops.audit_log is
    'What the system did to a tenant by itself, and why. It outlives the tenant, and holds nothing of a person.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
