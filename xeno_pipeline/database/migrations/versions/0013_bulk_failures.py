"""Bulk operations that fail one after the other are counted, so that their history comes in pages instead.

Revision: 0013
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table ops.sync_state add column bulk_failures integer not null default 0")
    op.execute(
        "comment on column ops.sync_state.bulk_failures is "
        "'How many bulk operations of the history failed in a row; one that is loaded resets it.'"
    )
