"""Open problems are shown to whoever may read the tenant that they are about.

Revision: 0028
"""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

SERVED = """
insert into ops.serving_privileges values
    ('ops.alerts', 'select', 'read', '{tenant_id, kind, subject, message, command, since, quiet_at, recovered_at}');
create index alerts_open_of_a_tenant on ops.alerts (tenant_id) where recovered_at is null;
select ops.admit_serving()
"""


def upgrade() -> None:
    for statement in SERVED.split(";\n"):
        op.execute(statement)
