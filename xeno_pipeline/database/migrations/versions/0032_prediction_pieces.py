"""Expected orders are polynomials of the age in pieces, which are read in parallel; fits are to be made again.

Revision: 0032
"""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# What was built on the views stays: they have no expected orders until dbt replaces them, in place.
DETACH = """
do $$
declare
    dependent record;
begin
    set local search_path = pg_catalog;
    for dependent in
        select distinct
            class.oid::regclass as name,
            coalesce('with (' || array_to_string(class.reloptions, ', ') || ')', '') as options,
            pg_get_viewdef(class.oid) as definition
        from pg_depend
        join pg_rewrite on pg_rewrite.oid = pg_depend.objid
        join pg_class class on class.oid = pg_rewrite.ev_class and class.relkind = 'v'
        where pg_depend.classid = 'pg_rewrite'::regclass
        and pg_depend.refobjid = 'intermediate.prediction_curves'::regclass
    loop
        execute format(
            'create or replace view %s %s as %s', dependent.name, dependent.options,
            replace(
                dependent.definition, 'intermediate.prediction_curves',
                '(select null::text collate "C" as tenant_id, null::bigint as repeats, '
                'null::float8 as ceiling_90d, null::float8[] as coefficients_90d, '
                'null::float8 as ceiling_365d, null::float8[] as coefficients_365d)'
            )
        );
    end loop;
end
$$;
drop table intermediate.prediction_curves;
delete from intermediate.prediction_fits;
"""

TERMS = 8
PERIODS = ("90d", "365d")
COLUMNS = [(period, power, f"orders_{period}_{power}") for period in PERIODS for power in range(TERMS)]

CURVES = f"""
create table intermediate.prediction_curves (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    repeats bigint not null,
    piece integer not null,
    {", ".join(f"{name} double precision not null" for _, _, name in COLUMNS)},
    primary key (tenant_id, repeats, piece)
);
comment on table intermediate.prediction_curves is
    'One row per tenant, number of repeats and piece of ages: polynomials for the expected orders of a customer who is '
    'alive. Written by xeno_pipeline.predictions.';
comment on column intermediate.prediction_curves.tenant_id is 'Handle of the tenant.';
comment on column intermediate.prediction_curves.repeats is 'Days with a counted order after the first.';
comment on column intermediate.prediction_curves.piece is
    'Of ages in days since the first order: twice ln(alpha + age), rounded.';
select ops.secure('intermediate.prediction_curves'::regclass);
"""


def upgrade() -> None:
    op.execute(DETACH)
    op.execute(CURVES)
    for period, power, name in COLUMNS:
        text = f"Coefficient of the age to the power of {power} in the expected orders within {period[:-1]} days."
        op.execute(f"comment on column intermediate.prediction_curves.{name} is '{text}'")
