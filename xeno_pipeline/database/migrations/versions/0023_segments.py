"""Saved segments, and the one place that evaluates them.

Revision: 0023
"""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLE = """
create table ops.segments (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    segment_id bigint generated always as identity,
    name text not null check (length(name) between 1 and 100),
    description text not null default '' check (length(description) <= 1000),
    query text not null check (length(query) between 1 and 20000),
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    removed_at timestamptz,
    condition text,
    bound jsonb,
    is_dated boolean,
    uses_personal boolean,
    is_shopifys boolean,
    compiler_version integer,
    problem text,
    primary key (tenant_id, segment_id),
    check ((condition is null) = (bound is null))
);
create unique index on ops.segments (tenant_id, lower(name)) where removed_at is null;
comment on table ops.segments is
    'Saved segments: sets of customers that a query describes. Who saves one writes its name, description and query; '
    'the columns from condition on are written by transforms, which compile the query as the owner.';
comment on column ops.segments.query is 'In Shopify''s segment query language.';
comment on column ops.segments.removed_at is 'A removed segment has no members; its history keeps its name.';
comment on column ops.segments.condition is
    'The query as SQL over c (a row of dim_customers) and q (bound, today). Only our own words: no text of the query.';
comment on column ops.segments.bound is 'The values of the query, by the names that the condition has for them.';
comment on column ops.segments.is_dated is 'Whether a new day alone may change who is a member.';
comment on column ops.segments.problem is
    'Why its members could not be determined in the last transform: they stay as they were. Null where they could.';
"""

TRIGGERS = """
create function ops.forget_compiled_segment() returns trigger
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
    end if;
    return new;
end
$$;
comment on function ops.forget_compiled_segment is
    'What another query was compiled to is no condition of this one; and nobody brings one along.';
create trigger forget_compiled before insert or update of name, description, query, removed_at on ops.segments
for each row execute function ops.forget_compiled_segment();

create function ops.note_changed_segment() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ops.changes (tenant_id, object, object_id) values (new.tenant_id, 'segments', new.segment_id)
    on conflict (tenant_id, object, object_id) do update set transform_id = null;
    return null;
end
$$;
comment on function ops.note_changed_segment is 'A changed segment makes its tenant due, whoever changed it.';
create trigger note_changed after insert or update of name, description, query, removed_at on ops.segments
for each row execute function ops.note_changed_segment();
"""

MATCHING = """
create function ops.matching_segments(tenant text, today date, segments bigint[], customers bigint[])
returns table (segment_id bigint, customer_id bigint, net_sales numeric, orders_count bigint, rfm_segment text)
language plpgsql
set search_path = marts, pg_temp
as $$
declare
    segment record;
begin
    for segment in
        select saved.segment_id, saved.condition, saved.bound, saved.problem
        from ops.segments saved
        where saved.tenant_id = tenant and saved.segment_id = any(segments) and saved.removed_at is null
        order by saved.segment_id
    loop
        begin
            if segment.condition is null then
                raise exception using errcode = 'XE001';
            end if;
            return query execute
                'select $1, c.customer_id, c.net_sales, c.orders_count, c.rfm_segment '
                'from dim_customers c cross join (select $2::date as today, $3::jsonb as bound) q '
                'where c.tenant_id = $4 and '
                || case when customers is null then '' else 'c.customer_id = any($5) and ' end
                || segment.condition
            using segment.segment_id, today, segment.bound, tenant, customers;
            if segment.problem is not null then
                update ops.segments saved set problem = null
                where saved.tenant_id = tenant and saved.segment_id = segment.segment_id;
            end if;
        exception when others then
            if sqlstate <> 'XE001' then
                update ops.segments saved set problem = 'It could not be evaluated: error ' || sqlstate || '.'
                where saved.tenant_id = tenant and saved.segment_id = segment.segment_id;
            end if;
            segment_id := segment.segment_id;
            customer_id := null;
            net_sales := null;
            orders_count := null;
            rfm_segment := null;
            return next;
        end;
    end loop;
end
$$;
comment on function ops.matching_segments is
    'The customers of a tenant that fit saved segments of it, all customers or those given: the only place where a '
    'saved condition is run. A segment that fails has a row without a customer (maybe beside matches), and a problem.';
"""

PUBLIC = """
revoke execute on function
    ops.forget_compiled_segment(), ops.note_changed_segment(), ops.matching_segments(text, date, bigint[], bigint[])
from public
"""

SERVED = """
insert into ops.serving_privileges values
    (
        'ops.segments', 'select', 'read',
        '{tenant_id, segment_id, name, description, query, created_at, changed_at, removed_at, problem}'
    ),
    ('ops.segments', 'insert', 'segments', '{tenant_id, name, description, query}'),
    ('ops.segments', 'update', 'segments', '{name, description, query, removed_at}')
"""


def upgrade() -> None:
    for statements in (TABLE, TRIGGERS, MATCHING, PUBLIC, SERVED):
        op.execute(statements)
    op.execute("select ops.admit_serving()")
