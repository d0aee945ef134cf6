"""Watching the pipeline: results of dbt tests, alerts, and the messages that tell of them.

Revision: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.dbt_tests (
    test text primary key,
    models text[] not null,
    status text not null,
    message text not null,
    tested_at timestamptz not null default now(),
    failing_since timestamptz
);
comment on table ops.dbt_tests is 'What each dbt test last said, of the rows of all tenants together.';
comment on column ops.dbt_tests.models is 'The models that it is about.';
comment on column ops.dbt_tests.failing_since is 'When it first failed without passing since; null: it passed.';

create table ops.alerts (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    tenant_id text collate "C" not null default '',
    told text not null,
    command text not null,
    since timestamptz not null,
    last_at timestamptz not null,
    times bigint not null default 1,
    quiet_at timestamptz,
    raised_at timestamptz,
    recovered_at timestamptz
);
create unique index on ops.alerts (kind, subject, tenant_id) where recovered_at is null;
create index on ops.alerts (recovered_at) where recovered_at is not null;
comment on table ops.alerts is 'What went wrong and was told to somebody: one row from its beginning to its end.';
comment on column ops.alerts.kind is 'The check that failed, or `run` and the job whose run did.';
comment on column ops.alerts.subject is 'The asset or job that it is about.';
comment on column ops.alerts.tenant_id is 'Empty where it is about no tenant in particular.';
comment on column ops.alerts.last_at is 'When it was last seen; it is the same alert until it has recovered.';
comment on column ops.alerts.times is 'How often it was seen.';
comment on column ops.alerts.quiet_at is 'Since when it is not seen any more; it recovers when that lasts.';
comment on column ops.alerts.raised_at is 'When the message that tells of it was written.';
comment on column ops.alerts.recovered_at is 'When the message that tells of its end was written.';

create table ops.alert_messages (
    id bigint generated always as identity primary key,
    channel text not null,
    subject text not null,
    body text not null,
    created_at timestamptz not null default now(),
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    error text,
    delivered_at timestamptz,
    given_up_at timestamptz
);
create index on ops.alert_messages (due_at) where delivered_at is null and given_up_at is null;
comment on table ops.alert_messages is
    'Messages about alerts, each to one channel; written with the alerts, and tried until it is delivered.';
comment on column ops.alert_messages.due_at is 'Not tried before.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
