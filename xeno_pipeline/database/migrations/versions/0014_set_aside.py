"""Records that do not fit the tables are set aside, and do not stop the others.

Revision: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ops.set_aside (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    object text not null,
    object_id bigint not null,
    gid text not null,
    reason text not null,
    records bigint not null default 1,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    updated_at timestamptz,
    created_at timestamptz,
    customer_id bigint,
    primary key (tenant_id, object, object_id)
);
comment on table ops.set_aside is
    'Objects that Shopify has, and that could not be loaded as they were last read. An older version stays in raw; '
    'an object leaves this list when it is read in a good shape, or is deleted.';
comment on column ops.set_aside.object is 'The raw table of the object; what is wrong may be in one of its children.';
comment on column ops.set_aside.object_id is '0: of records that name neither themselves nor their parent.';
comment on column ops.set_aside.reason is 'The field, and what kind of problem it has; never a value.';
comment on column ops.set_aside.records is 'How many records; more than one only where object_id is 0.';
comment on column ops.set_aside.first_seen_at is 'When it was read so first, since it was last read in a good shape.';
comment on column ops.set_aside.last_seen_at is 'When it was last read so.';
comment on column ops.set_aside.updated_at is 'Shopify''s own, where it can be; likewise created_at and customer_id.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
