"""The schemas `ops` and `raw` as they were first released.

Revision: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPS = """
create table ops.tenants (
    tenant_id text collate "C" primary key check (tenant_id ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    shop_gid text not null unique,
    shop_domain text not null,
    api_url text not null,
    name text not null,
    currency text not null,
    iana_timezone text not null,
    plan text not null,
    access_scopes text[] not null,
    status text not null default 'active' check (status in ('active', 'suspended', 'removed')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table ops.tenants is 'One row per Shopify store; a removed one keeps its row as a tombstone.';

create table ops.tenant_credentials (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    key_id text not null,
    sealed_token bytea not null,
    updated_at timestamptz not null default now()
);
comment on table ops.tenant_credentials is 'Access tokens, AES-256-GCM, each bound to its tenant.';

create table ops.sync_state (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    stream text not null,
    cursor_at timestamptz,
    query_version integer,
    history_loaded_at timestamptz,
    history_since timestamptz,
    bulk_operation_id text,
    synced_at timestamptz,
    primary key (tenant_id, stream)
);
comment on column ops.sync_state.cursor_at is
    'Every change up to this instant, by the shop''s clock, is in raw; written with the rows.';
comment on column ops.sync_state.history_since is
    'Older objects were hidden from the token when the history was loaded; null: none were.';
comment on column ops.sync_state.synced_at is 'When Shopify was last asked for changes, and all were loaded.';
comment on column ops.sync_state.bulk_operation_id is
    'A bulk operation that was started and whose result is not loaded yet: to be adopted.';

create table ops.changes (
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    object text not null,
    object_id bigint not null,
    transform_id uuid,
    primary key (tenant_id, object, object_id)
);
create index on ops.changes (transform_id) where transform_id is not null;
comment on table ops.changes is
    'Root rows of raw that changed since the marts of their tenant were made; object_id 0: all of the kind.';
comment on column ops.changes.transform_id is
    'The transform that takes the change into the marts; a new change of the same object resets it.';

create table ops.transforms (
    transform_id uuid not null,
    tenant_id text collate "C" not null references ops.tenants on delete cascade,
    as_of_date date not null,
    started_at timestamptz not null default now(),
    primary key (transform_id, tenant_id)
);
comment on table ops.transforms is 'The scope of each running transform: its tenants, and what "today" is for each.';

create table ops.tenant_marts (
    tenant_id text collate "C" primary key references ops.tenants on delete cascade,
    as_of_date date not null,
    transformed_at timestamptz not null,
    project_version text not null
);
comment on table ops.tenant_marts is 'What a tenant''s marts were last brought to.';

create table ops.marts_version (
    version text not null
);
comment on table ops.marts_version is 'The version of the dbt project that the relations of the marts were made by.';

create view ops.transform_scope as
    select tenant_id, as_of_date
    from ops.transforms
    where transform_id = nullif(current_setting('xeno.transform_id', true), '')::uuid
    union all
    select tenant_id, (now() at time zone iana_timezone)::date
    from ops.tenants
    where status = 'active' and coalesce(current_setting('xeno.transform_id', true), '') = '';
comment on view ops.transform_scope is
    'The tenants of the transform that the session''s setting xeno.transform_id names; without it all active ones.';
"""

_TAIL = """
    query_version integer not null,
    loaded_at timestamptz not null default now(),
    payload jsonb not null,
    primary key (tenant_id, id)
) with (toast_tuple_target = 8160);
"""

_ROOT = """
    tenant_id text collate "C" not null,
    id bigint not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
"""

_CHILD = """
    tenant_id text collate "C" not null,
    id bigint not null,
"""

RAW = f"""
create table raw.shops ({_ROOT}
    name text,
    myshopify_domain text,
    currency text,
    iana_timezone text,
    plan text,
    access_scopes text[],
    created_at timestamptz,
{_TAIL}
create table raw.customers ({_ROOT}
    created_at timestamptz,
    email text,
    phone text,
    first_name text,
    last_name text,
    country_code text,
    locale text,
    state text,
    tags text[],
    number_of_orders bigint,
    rfm_group text,
{_TAIL}
create table raw.orders ({_ROOT}
    name text,
    customer_id bigint,
    created_at timestamptz,
    processed_at timestamptz,
    cancelled_at timestamptz,
    cancel_reason text,
    is_test boolean,
    currency text,
    presentment_currency text,
    financial_status text,
    fulfillment_status text,
    source_name text,
    country_code text,
    tags text[],
    discount_codes text[],
    checkout_token text,
    total_price numeric,
    current_total_price numeric,
{_TAIL}
create table raw.order_line_items ({_CHILD}
    order_id bigint not null,
    product_id bigint,
    variant_id bigint,
    sku text,
    title text,
    quantity integer,
    current_quantity integer,
    unit_price numeric,
    is_gift_card boolean,
{_TAIL}
create index on raw.order_line_items (tenant_id, order_id);
create table raw.order_agreements (
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    order_id bigint not null,
    reason text,
    happened_at timestamptz,
    refund_id bigint,
{_TAIL}
create index on raw.order_agreements (tenant_id, order_id);
create table raw.order_sales (
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    agreement_id text collate "C" not null,
    line_item_id bigint,
    action_type text,
    line_type text,
    quantity integer,
    total_amount numeric,
    discount_amount numeric,
    tax_amount numeric,
{_TAIL}
create index on raw.order_sales (tenant_id, agreement_id);
create table raw.refunds ({_CHILD}
    order_id bigint not null,
    created_at timestamptz,
    processed_at timestamptz,
    total_refunded numeric,
{_TAIL}
create index on raw.refunds (tenant_id, order_id);
create table raw.order_transactions ({_CHILD}
    order_id bigint not null,
    parent_transaction_id bigint,
    kind text,
    status text,
    gateway text,
    is_test boolean,
    created_at timestamptz,
    processed_at timestamptz,
    amount numeric,
{_TAIL}
create index on raw.order_transactions (tenant_id, order_id);
create table raw.fulfillments ({_CHILD}
    order_id bigint not null,
    status text,
    display_status text,
    created_at timestamptz,
    updated_at timestamptz,
    delivered_at timestamptz,
    total_quantity integer,
{_TAIL}
create index on raw.fulfillments (tenant_id, order_id);
create table raw.products ({_ROOT}
    title text,
    handle text,
    vendor text,
    product_type text,
    status text,
    tags text[],
    created_at timestamptz,
    published_at timestamptz,
{_TAIL}
create table raw.product_variants ({_CHILD}
    product_id bigint not null,
    title text,
    sku text,
    barcode text,
    position integer,
    price numeric,
    compare_at_price numeric,
    created_at timestamptz,
    updated_at timestamptz,
{_TAIL}
create index on raw.product_variants (tenant_id, product_id);
create table raw.abandoned_checkouts ({_ROOT}
    name text,
    customer_id bigint,
    created_at timestamptz,
    completed_at timestamptz,
    token text,
    discount_codes text[],
    total_price numeric,
{_TAIL}
create table raw.abandoned_checkout_line_items ({_CHILD}
    checkout_id bigint not null,
    product_id bigint,
    variant_id bigint,
    sku text,
    title text,
    quantity integer,
    total_price numeric,
{_TAIL}
create index on raw.abandoned_checkout_line_items (tenant_id, checkout_id);
"""


def upgrade() -> None:
    op.execute("create schema raw")
    for statement in (OPS + RAW).split(";\n"):
        if statement.strip():
            op.execute(statement)
