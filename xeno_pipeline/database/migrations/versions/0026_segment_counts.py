"""How many members Shopify counts for the segments that it can evaluate too.

Revision: 0026
"""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

COLUMNS = """
alter table ops.segments add column members_at_shopify bigint;
alter table ops.segments add column members_in_marts bigint;
alter table ops.segments add column compared_at timestamptz;
comment on column ops.segments.members_at_shopify is
    'How many customers Shopify counted for the query at the last reconciliation; null where it was not asked, or has '
    'no answer.';
comment on column ops.segments.members_in_marts is 'How many members the marts had then.';
comment on column ops.segments.compared_at is 'When; null before the first time, and after the query has changed.'
"""

FORGETTING = """
create or replace function ops.forget_compiled_segment() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.changed_at := now();
    if tg_op = 'INSERT' or new.query <> old.query then
        new.condition := null;
        new.bound := null;
        new.is_dated := null;
        new.uses_personal := null;
        new.is_shopifys := null;
        new.compiler_version := null;
        new.problem := null;
        new.members_at_shopify := null;
        new.members_in_marts := null;
        new.compared_at := null;
    end if;
    return new;
end
$$
"""


def upgrade() -> None:
    for statement in COLUMNS.split(";\n"):
        op.execute(statement)
    op.execute(FORGETTING)
