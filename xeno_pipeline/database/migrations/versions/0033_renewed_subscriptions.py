"""When a store's webhooks were last subscribed anew: what changed before that sent none, and is to be read.

Revision: 0033
"""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table ops.webhook_subscriptions add column renewed_at timestamptz")
    op.execute(
        """
        comment on column ops.webhook_subscriptions.renewed_at is
            'When a topic was last subscribed that was not before, or not to this address. What changed until then may '
            'have sent no webhook: unless a sync has begun since, one is requested. Null where all were found in place.'
        """
    )
