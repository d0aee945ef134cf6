"""Syncs: those that were requested, with the first reads of connected stores, and those that ran; and their progress.

Revision: 0022
"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.syncs (
    sync_id bigint generated always as identity primary key,
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    kind text not null default 'request' check (kind in ('request', 'first_read', 'run')),
    is_full boolean not null default false,
    streams text[] not null default '{}' check (cardinality(streams) <= 20 and length(streams::text) <= 400),
    requested_by text not null check (length(requested_by) between 1 and 200),
    requested_at timestamptz not null default clock_timestamp(),
    state text not null default 'queued'
        check (state in ('queued', 'running', 'succeeded', 'failed', 'refused')),
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    run_id text,
    started_at timestamptz,
    finished_at timestamptz,
    reason text,
    check ((state in ('succeeded', 'failed', 'refused')) = (finished_at is not null)),
    check (state <> 'running' or (run_id is not null and started_at is not null))
);
create unique index syncs_one_at_a_time on ops.syncs (tenant_id)
where kind <> 'run' and state in ('queued', 'running');
create unique index syncs_of_a_run on ops.syncs (run_id, tenant_id);
create index syncs_of_a_tenant on ops.syncs (tenant_id, sync_id);
create index syncs_running on ops.syncs (run_id) where state = 'running';
comment on table ops.syncs is
    'Syncs of tenants, one row each: requested ones, and those that runs did unasked and that read something.';
comment on column ops.syncs.kind is
    '`request`: a person or a key asked for it. `first_read`: the store was connected; it is retried until it '
    'succeeds. `run`: a schedule, a backfill or the command line did it without a request. Of the first two a tenant '
    'has at most one at a time that is not finished.';
comment on column ops.syncs.streams is 'Empty: all streams.';
comment on column ops.syncs.requested_by is 'The key, person, schedule or sensor that asked for it.';
comment on column ops.syncs.attempts is 'How many runs the sensor has requested for it.';
comment on column ops.syncs.due_at is 'While it is queued: the sensor requests no run before.';
comment on column ops.syncs.run_id is 'The run of Dagster''s that does it, or did it last.';
comment on column ops.syncs.reason is 'Why it failed or was refused; while a first read is queued, why it failed last.';

create table ops.sync_progress (
    sync_id bigint not null references ops.syncs on delete cascade,
    tenant_id text collate "C" not null,
    stream text not null,
    phase text not null,
    records bigint not null check (records >= 0),
    total bigint check (total >= 0),
    reason text,
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (sync_id, stream)
) with (fillfactor = 50);
comment on table ops.sync_progress is 'How far each stream of a sync is: updated about once a second while it runs.';
comment on column ops.sync_progress.phase is
    'waiting, collecting, downloading, loading or reading; at last `done` or `failed`.';
comment on column ops.sync_progress.records is
    'Objects so far; lines of a result, children included, while it is loaded; rows once it is done.';
comment on column ops.sync_progress.total is 'Of how many; null where it is not known.';
comment on column ops.sync_progress.reason is 'Why the stream failed.';

insert into ops.syncs (tenant_id, kind, requested_by, requested_at, attempts, due_at)
select tenant_id, 'first_read', 'connection', requested_at, attempts, due_at from ops.backfill_requests;
drop table ops.backfill_requests;

insert into ops.serving_privileges values
    ('ops.syncs', 'select', 'read', null),
    ('ops.syncs', 'insert', 'sync', '{tenant_id, is_full, streams, requested_by}'),
    ('ops.sync_progress', 'select', 'read', null);
select ops.admit_serving()
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
