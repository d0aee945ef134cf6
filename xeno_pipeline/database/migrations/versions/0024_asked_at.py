"""When the last sync of a stream began to ask: what changed shortly before, or since, is read once more.

Revision: 0024
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table ops.sync_state add column asked_at timestamptz;
comment on column ops.sync_state.asked_at is
    'When the sync that ended at synced_at began to ask Shopify: it saw all that had changed well before.'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
