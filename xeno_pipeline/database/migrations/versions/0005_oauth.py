"""Connecting by OAuth: states, grants, the tenant's own app.

Revision: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table ops.tenant_credentials
    add kind text not null default 'permanent' check (kind in ('permanent', 'expiring', 'client_credentials')),
    add expires_at timestamptz,
    add sealed_refresh_token bytea,
    add check ((kind = 'expiring') = (sealed_refresh_token is not null)),
    add check ((kind = 'permanent') = (expires_at is null));
comment on column ops.tenant_credentials.kind is
    'How the token came about, and so how the next one will: given by hand; by OAuth, with a refresh token that is '
    'replaced with it; or asked for with the client id and secret in ops.tenant_apps.';

create table ops.tenant_apps (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    client_id text,
    key_id text not null,
    sealed_secret bytea not null,
    updated_at timestamptz not null default now()
);
comment on table ops.tenant_apps is
    'The apps that are a tenant''s own: the secret signs its webhooks, and with the client id it brings tokens.';

create table ops.oauth_states (
    state_hash bytea primary key,
    browser_hash bytea not null,
    tenant_id text collate "C" not null,
    expires_at timestamptz not null
);
create index on ops.oauth_states (expires_at);
comment on table ops.oauth_states is
    'Connections that a browser has begun: SHA-256 of the state and of the browser''s cookie. Each is used once.';

create table ops.backfill_requests (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    requested_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp()
);
comment on table ops.backfill_requests is 'Tenants that were connected, and have not been read since.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
