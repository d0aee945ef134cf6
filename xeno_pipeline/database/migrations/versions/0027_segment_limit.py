"""How many segments a tenant may have, for whoever writes them.

Revision: 0027
"""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

LIMIT = """
create function ops.limit_segments() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if (
        select count(*) from ops.segments others
        where others.tenant_id = new.tenant_id and others.segment_id <> new.segment_id and others.removed_at is null
    ) >= 100 then
        raise check_violation using message = new.tenant_id || ' has 100 segments, and may have no more';
    end if;
    return new;
end
$$;
comment on function ops.limit_segments is
    'Each segment costs every transform of its tenant, so there are at most a hundred: xeno_pipeline.segments.registry '
    'says so in a sentence, this stops whoever writes the table in another way.';
revoke execute on function ops.limit_segments() from public;
create trigger limit_added before insert on ops.segments
for each row execute function ops.limit_segments();
create trigger limit_restored before update of removed_at on ops.segments
for each row when (old.removed_at is not null and new.removed_at is null) execute function ops.limit_segments();
"""


def upgrade() -> None:
    op.execute(LIMIT)
