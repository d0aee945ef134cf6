"""Which events are due, once: four queries repeated it. What Shopify no longer has is called deleted, as elsewhere.

Revision: 0020
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATEMENTS = """
create view ops.due_events as
    select inbox.*
    from ops.webhook_inbox inbox
    where inbox.in_marts_at is null
    and inbox.dead_at is null
    and inbox.due_at <= now()
    and exists (
        select from ops.tenants
        where tenants.tenant_id = inbox.tenant_id
        and (tenants.status = 'active' or (inbox.stream = 'app' and tenants.status = 'suspended'))
    )
    and (
        inbox.stream = 'app'
        or exists (
            select from ops.sync_state state
            where state.tenant_id = inbox.tenant_id and state.history_loaded_at is not null
            and state.stream = case when inbox.stream in ('carts', 'shop') then 'orders' else inbox.stream end
        )
    )
    and not exists (
        select from ops.webhook_inbox held
        where held.tenant_id = inbox.tenant_id and held.stream = inbox.stream and held.is_held
        and held.in_marts_at is null and held.dead_at is null and held.due_at > now()
    );
comment on view ops.due_events is
    'Events to be read, or read and not in the marts yet. A stream whose history is not loaded waits for it: that load '
    'is faster into an empty table. Streams without a history wait for that of orders; an uninstallation waits for '
    'nothing. A held event, of a stream that could not be read, delays the tenant''s other events of that stream.';
alter table ops.reconciliations rename column gone to deleted;
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
