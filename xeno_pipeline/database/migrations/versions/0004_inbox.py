"""The inbox of webhooks: what Shopify told us, until the marts show it.

Revision: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INBOX = """
create table ops.webhook_inbox (
    id bigint generated always as identity primary key,
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    webhook_id text not null,
    event_id text,
    topic text not null,
    stream text not null,
    read_gid text,
    deleted_gid text,
    changed_at timestamptz,
    triggered_at timestamptz,
    received_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    error text,
    is_held boolean not null default false,
    done_at timestamptz,
    in_marts_at timestamptz,
    dead_at timestamptz,
    unique (tenant_id, webhook_id)
);
create index on ops.webhook_inbox (due_at) where in_marts_at is null and dead_at is null;
create index on ops.webhook_inbox (tenant_id, stream) where is_held and in_marts_at is null and dead_at is null;
create index on ops.webhook_inbox (tenant_id, deleted_gid) where deleted_gid is not null;
create index on ops.webhook_inbox (received_at);
create index on ops.tenants (shop_domain);
comment on table ops.webhook_inbox is
    'One row per delivery that Shopify was answered 200 for. It holds ids and times, nothing of a person.';
comment on column ops.webhook_inbox.webhook_id is 'Names the delivery: repeated ones have the same.';
comment on column ops.webhook_inbox.read_gid is
    'What is to be read back; null with deleted_gid null too: whatever changed in the stream.';
comment on column ops.webhook_inbox.deleted_gid is 'What is gone: deleted, or merged into read_gid.';
comment on column ops.webhook_inbox.changed_at is
    'The object''s own time of change: what is read back must not be older.';
comment on column ops.webhook_inbox.due_at is 'Not tried before.';
comment on column ops.webhook_inbox.is_held is
    'The last attempt could not read the stream at all: nothing of it is tried before due_at.';
comment on column ops.webhook_inbox.done_at is 'Set by the transaction that wrote to raw what the event told of.';
comment on column ops.webhook_inbox.in_marts_at is 'When a transform had taken that into the marts.';
comment on column ops.webhook_inbox.dead_at is
    'When it was given up, with its error; `xeno webhooks replay` revives it.';
"""


def upgrade() -> None:
    for statement in INBOX.split(";\n"):
        if statement.strip():
            op.execute(statement)
