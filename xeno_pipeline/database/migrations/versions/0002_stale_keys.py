"""The keys of what is stale in the marts, and what a transform has to know of its tenants.

Revision: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEYS = {
    "orders": ("order_id bigint", "Orders that changed in raw: their sales, lines and the orders themselves."),
    "order_numbers": ("order_id bigint", "Orders that changed, and all others of their customers, old and new."),
    "customers": ("customer_id bigint", "Customers whose profile, orders or sales changed."),
    "days": ("date_day date", "Days, in the shop's time zone, whose orders or sales changed."),
    "product_months": ("product_id bigint, month date", "Products and months whose sales changed."),
    "products": ("product_id bigint", "Products that changed in raw, with their variants."),
    "checkouts": ("checkout_id bigint", "Abandoned checkouts that changed in raw."),
    "tenants": ("", "Tenants whose customers or days changed, or for whom a new day dawned."),
}

# The marts' tenant_id has the database's collation; with another one here their indexes could not serve the joins.
_TABLE = """
create table stale.{name} (
    tenant_id text not null{columns},
    primary key (tenant_id{key})
);
comment on table stale.{name} is '{comment}';
"""

_OPS = """
alter table ops.transforms add column iana_timezone text not null default '';
alter table ops.transforms add column currency text not null default '';
alter table ops.transforms add column is_whole boolean not null default false;
comment on column ops.transforms.is_whole is
    'All of the tenant''s marts are compared with what raw says, not only what is known to be stale.';

alter table ops.transforms add column writes_history boolean not null default true;
comment on column ops.transforms.writes_history is 'Not where "today" is another day than today.';

alter table ops.tenant_marts add column iana_timezone text;
alter table ops.tenant_marts add column currency text;
alter table ops.tenant_marts add column has_history boolean not null default false;
comment on column ops.tenant_marts.has_history is 'Whether history was written; false where "today" was given.';

create or replace view ops.transform_scope as
    select tenant_id, as_of_date, is_whole, writes_history
    from ops.transforms
    where transform_id = nullif(current_setting('xeno.transform_id', true), '')::uuid
    union all
    select tenant_id, (now() at time zone iana_timezone)::date, true, true
    from ops.tenants
    where status = 'active' and coalesce(current_setting('xeno.transform_id', true), '') = '';
"""


def upgrade() -> None:
    op.execute("create schema stale")
    op.execute("""
        comment on schema stale is
        'Keys of rows of the marts that are to be made anew: noted with the change that makes them stale, in its '
        'transaction, and dropped when all marts of the tenant are made.'
        """)
    tables = (_table(name, columns, comment) for name, (columns, comment) in _KEYS.items())
    for statement in "".join((*tables, _OPS)).split(";\n"):
        if statement.strip():
            op.execute(statement)


def _table(name: str, columns: str, comment: str) -> str:
    names = "".join(f", {column.split()[0]}" for column in columns.split(", ") if column)
    typed = "".join(f",\n    {column} not null" for column in columns.split(", ") if column)
    return _TABLE.format(name=name, columns=typed, key=names, comment=comment.replace("'", "''"))
