"""When a load last changed something of a tenant's: what the marts tell as `last_loaded_at`.

Revision: 0011
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ROOTS = ("shops", "orders", "customers", "products", "abandoned_checkouts", "carts")

STATEMENTS = f"""
create table ops.last_changes (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    object text not null,
    changed_at timestamptz not null,
    primary key (tenant_id, object)
);
comment on table ops.last_changes is
    'When root rows of raw last changed, by kind. Unlike ops.changes it stays when the marts have taken them in.';

insert into ops.last_changes
{
    " union all ".join(
        f"select tenant_id, '{root}', max(loaded_at) from raw.{root} join ops.tenants using (tenant_id) group by 1"
        for root in _ROOTS
    )
};
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
