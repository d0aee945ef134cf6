"""One function for the back-off of all retry queues.

Revision: 0019
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = """
create function ops.next_attempt(attempts integer, first_seconds integer, longest_seconds integer) returns timestamptz
language sql volatile
return clock_timestamp() + make_interval(secs => least(first_seconds * 2.0 ^ least(attempts, 20), longest_seconds));
comment on function ops.next_attempt is
    'When a row of a retry queue is due again: the pause doubles with each attempt before this one, up to a longest.'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
