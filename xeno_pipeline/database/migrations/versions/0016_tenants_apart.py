"""What fails for one tenant is kept by tenant: failed dbt tests, and runs. A shop's clock that no zone stops.

Revision: 0016
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

LOCAL_TIME = """
create function ops.local_time(at timestamptz, zone text) returns timestamp
language plpgsql stable as $$
begin
    return at at time zone zone;
exception when invalid_parameter_value then
    return at at time zone 'UTC';
end
$$
"""

STATEMENTS = """
comment on function ops.local_time is
    'What a shop''s clock shows; UTC where its time zone is not known, lest one tenant''s zone stop a query over all.';

create table ops.dbt_test_failures (
    test text not null references ops.dbt_tests on delete cascade,
    tenant_id text collate "C" not null,
    message text not null,
    failing_since timestamptz not null default now(),
    primary key (test, tenant_id)
);
comment on table ops.dbt_test_failures is 'The dbt tests that did not pass when they last ran, by tenant.';
comment on column ops.dbt_test_failures.tenant_id is 'Empty where it fails without any tenant''s rows.';

insert into ops.dbt_test_failures
select test, '', message, failing_since from ops.dbt_tests where failing_since is not null;

comment on table ops.dbt_tests is 'What each dbt test last said, of the tenants that it ran for.';

create table ops.run_failures (
    job text not null,
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    reason text not null,
    run_id text not null,
    failing_since timestamptz not null default now(),
    failed_at timestamptz not null default now(),
    primary key (job, tenant_id)
);
comment on table ops.run_failures is 'With which tenants the last run of a job that they were in failed, and why.';
comment on column ops.run_failures.failing_since is 'When it first failed without a run that did not.'
"""


def upgrade() -> None:
    op.execute(LOCAL_TIME)
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
