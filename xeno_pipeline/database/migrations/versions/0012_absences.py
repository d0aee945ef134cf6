"""Webhooks of what Shopify does not show are known for that.

Revision: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table ops.webhook_inbox add column object_created_at timestamptz;
comment on column ops.webhook_inbox.object_created_at is
    'When the order that it is about was created, where the delivery said so.';

alter table ops.webhook_inbox add column absence text check (absence in ('not found', 'not visible'));
comment on column ops.webhook_inbox.absence is
    'Set where Shopify shows no such object: not found, so that it is tried again and in the end taken for deleted; or
not visible to the token, being too old. With in_marts_at too, the event is settled and raw lacks the object.';
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
