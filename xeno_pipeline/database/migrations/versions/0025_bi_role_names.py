"""A tenant may have several roles for BI tools, by name: a new password of one does not cut another off.

Revision: 0025
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table ops.bi_roles add column tool text not null default 'bi' check (tool ~ '^[a-z0-9][a-z0-9._-]{0,59}$');
comment on column ops.bi_roles.tool is 'Which of the tenant''s roles it is: the name of what logs in by it.';
alter table ops.bi_roles add unique nulls not distinct (database_oid, tenant_id, tool);
alter table ops.bi_roles drop constraint bi_roles_database_oid_tenant_id_key;
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
