"""The checks: each asks in one query which active tenants something is wrong with, and since when.

A tenant's pass cannot hide another's failure, as it would where a check were evaluated tenant by tenant. Every query
gives the columns of `Finding` but for the check; `subject` is the relation, or the thing at Shopify, that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import dict_row

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAM_NAMES, STREAMS
from xeno_pipeline.privacy.requests import NEAR_DEADLINE
from xeno_pipeline.raw.tables import RAW_TABLES, SHOPS
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.apart import bisect

_TENANTS = re.compile(r"\bops\.tenants\b")

_NEEDED_SCOPES = ("read_customers", "read_orders", "read_products")


@dataclass(frozen=True)
class Finding:
    """That something is wrong.

    Args:
        check: the name of the check.
        subject: what it is about, `raw.orders` or `shopify.shop`.
        tenant_id: whose; None where it is not one tenant's.
        told: what is wrong, in a sentence without anything personal.
        command: what to try.
        since: since when; None where that is not known.
        is_evaluated: false where it is not known what is wrong, since the check failed.
    """

    check: str
    subject: str
    tenant_id: str | None
    told: str
    command: str
    since: datetime | None = None
    is_evaluated: bool = True


@dataclass(frozen=True)
class Check:
    """One question about all active tenants.

    Args:
        name: what is true where nothing is found.
        description: the same in a sentence.
        subjects: what it can find something about; empty: the dbt models that have tests.
        query: finds what is wrong.
        is_error: whether figures are wrong or missing; else somebody should merely look.
        reads_marts: whether it finds nothing before the relations of the marts were made.
    """

    name: str
    description: str
    subjects: Sequence[str]
    query: str
    is_error: bool = True
    reads_marts: bool = False


def relation_of(stream: str) -> str:
    """The relation that a stream fills first of all."""
    return f"raw.{SHOPS.name}" if stream in (SHOP, "app") else f"raw.{stream}"


_READ = [relation_of(name) for name in STREAM_NAMES]
_TOLD = [*_READ, relation_of(CARTS)]
_COUNTED = [relation_of(stream.name) for stream in STREAMS]

_RELATION_OF_STREAM = "case when stream in ('shop', 'app') then 'raw.shops' else 'raw.' || stream end"

COUNTS = Check(
    "counts_agree_with_shopify",
    "Raw holds as many objects of each tenant as Shopify counts, by the last nightly reconciliation.",
    _COUNTED,
    f"""
    select {_RELATION_OF_STREAM} as subject, tenant_id, coalesce(failing_since, started_at) as since,
        case
            when error is not null then 'the comparison with Shopify fails: ' || error
            when started_at < now() - interval '3 days'
                then 'was last compared with Shopify on ' || to_char(night::timestamp, 'YYYY-MM-DD')
            else 'Shopify has ' || at_shopify || ' ' || stream || ', raw has ' || in_raw
        end as told,
        'xeno reconcile ' || tenant_id as command
    from ops.reconciliations
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    and (
        error is not null
        or started_at < now() - interval '3 days'
        or at_shopify > in_raw
        or (at_shopify < in_raw and stream <> 'abandoned_checkouts')  -- which Shopify forgets
    )
    """,
)

FRESHNESS = Check(
    "is_fresh",
    "Shopify was asked for every active tenant's changes within three hours; a new store's history is in within a day.",
    _READ,
    f"""
    with streams as (
        select tenant_id, stream, state.synced_at, state.history_loaded_at, connected_at
        from ops.tenants
        cross join unnest(%(streams)s::text[]) as stream
        left join ops.sync_state state using (tenant_id, stream)
        where status = 'active'
    )
    select {_RELATION_OF_STREAM} as subject, tenant_id, coalesce(synced_at, connected_at) as since,
        case
            when synced_at is null then stream || ': the history is not read yet'
            else stream || ': Shopify was last asked for changes at '
                || to_char(synced_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
        end as told,
        'xeno sync ' || tenant_id as command
    from streams
    where coalesce(synced_at, history_loaded_at, connected_at + interval '21 hours') < now() - interval '3 hours'
    """,
)

LAG = Check(
    "events_are_taken_in",
    "No webhook waits for longer than ten minutes to be shown by the marts.",
    _TOLD,
    f"""
    select {_RELATION_OF_STREAM} as subject, tenant_id, min(received_at) as since,
        count(*) || ' webhooks of ' || stream || ' wait' || coalesce(': ' || max(error), '') as told,
        'xeno sync ' || tenant_id as command
    from ops.webhook_inbox inbox
    join ops.tenants using (tenant_id)
    where in_marts_at is null and dead_at is null and tenants.status = 'active'
    and received_at < now() - interval '10 minutes'
    and absence is null  -- what Shopify does not show cannot be in the marts
    -- The history is awaited on purpose, and has a check of its own.
    and exists (
        select from ops.sync_state state where state.tenant_id = inbox.tenant_id and history_loaded_at is not null
    )
    group by stream, tenant_id
    """,
)

DEAD = Check(
    "no_event_is_dead",
    "No webhook was given up in the last days without being replayed.",
    _TOLD,
    f"""
    select {_RELATION_OF_STREAM} as subject, tenant_id, min(dead_at) as since,
        count(*) || ' webhooks of ' || stream || ' were given up' || coalesce(': ' || max(error), '') as told,
        'xeno webhooks replay' as command
    from ops.webhook_inbox
    join ops.tenants using (tenant_id)
    where dead_at is not null and tenants.status = 'active'
    group by stream, tenant_id
    """,
)

SET_ASIDE = Check(
    "records_fit",
    "Every object that Shopify has could be loaded as it is; what does not fit its table is set aside until it does.",
    [f"raw.{table.name}" for table in RAW_TABLES if table.parent is None],
    """
    select 'raw.' || object as subject, tenant_id, min(first_seen_at) as since,
        sum(records) || ' ' || object || ' do not fit and are set aside, such as '
            || (array_agg(coalesce(nullif(gid, ''), 'one without id') || ': ' || reason order by first_seen_at, gid))[1]
            as told,
        'xeno tenant show ' || tenant_id as command
    from ops.set_aside
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    group by object, tenant_id
    """,
)

SCOPES = Check(
    "scopes_are_granted",
    "Every active tenant's token has the access scopes that are needed, and those that the settings ask for.",
    ["shopify.shop"],
    """
    select 'shopify.shop' as subject, tenant_id, null::timestamptz as since,
        'the token lacks ' || string_agg(scope, ', ' order by scope) as told,
        'xeno tenant set-token ' || tenant_id as command
    from ops.tenants
    cross join unnest(%(scopes)s::text[]) as scope
    where status = 'active'
    and scope <> all(access_scopes)
    and replace(scope, 'read_', 'write_') <> all(access_scopes)  -- who may write may read
    group by tenant_id
    """,
    is_error=False,
)

TOKENS = Check(
    "tokens_last",
    "Every active tenant has a token, and none needs a merchant within two weeks to be renewed.",
    ["shopify.shop"],
    """
    select 'shopify.shop' as subject, tenant_id, credentials.updated_at as since,
        case
            when credentials.tenant_id is null then 'there is no token'
            else 'the refresh token ends on ' || to_char(ends_at at time zone 'UTC', 'YYYY-MM-DD')
                || ' unless the store is read before'
        end as told,
        case
            when credentials.tenant_id is null then 'xeno tenant set-token ' || tenant_id
            else 'xeno sync ' || tenant_id
        end as command
    from ops.tenants
    left join ops.tenant_credentials credentials using (tenant_id)
    cross join lateral (
        -- https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens
        select case when kind = 'expiring' then credentials.updated_at + interval '90 days' end as ends_at
    ) as life
    where status = 'active' and (credentials.tenant_id is null or ends_at < now() + interval '14 days')
    """,
)

MARTS = Check(
    "marts_are_of_today",
    "The marts of every active tenant that was read have come into the shop's own day.",
    ["marts.tenant_overview"],
    """
    select 'marts.tenant_overview' as subject, tenant_id, transformed_at as since,
        coalesce('the marts are as of ' || to_char(as_of_date::timestamp, 'YYYY-MM-DD'), 'there are no marts yet')
            as told,
        'xeno transform ' || tenant_id as command
    from ops.tenants
    left join ops.tenant_marts using (tenant_id)
    cross join lateral (select ops.local_time(now() - interval '2 hours', tenants.iana_timezone) as local_time) as clock
    where status = 'active'
    and coalesce(as_of_date < local_time::date, true)
    and exists (
        select from ops.sync_state state
        where state.tenant_id = tenants.tenant_id and state.history_loaded_at < now() - interval '2 hours'
    )
    """,
)

LEDGER = Check(
    "ledger_agrees_with_orders",
    "The sales in the ledger of each order of the last 60 days sum up to what Shopify calls the order's total.",
    ["raw.order_sales"],
    """
    with recent as (
        select orders.tenant_id, orders.id, orders.updated_at, orders.current_total_price as total
        from marts.fct_orders
        join ops.tenants using (tenant_id)
        join raw.orders on orders.tenant_id = fct_orders.tenant_id and orders.id = fct_orders.order_id
        where status = 'active' and ordered_on > (now() at time zone iana_timezone)::date - 60
        and orders.current_total_price is not null
    ),

    ledger as (
        select recent.tenant_id, recent.id, sum(sales.total_amount) as total
        from recent
        join raw.order_agreements agreements
            on agreements.tenant_id = recent.tenant_id and agreements.order_id = recent.id
        join raw.order_sales sales
            on sales.tenant_id = agreements.tenant_id and sales.agreement_id = agreements.id
        group by recent.tenant_id, recent.id
    )

    select 'raw.order_sales' as subject, tenant_id, least(min(recent.updated_at), now()) as since,
        count(*) || ' of the orders of the last 60 days differ from their ledger, such as ' || min(id) as told,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from recent
    left join ledger using (tenant_id, id)
    where abs(recent.total - coalesce(ledger.total, 0)) > 0.01
    group by tenant_id
    """,
    is_error=False,  # Shopify's own figures may differ, by adjustments
    reads_marts=True,
)

SALES = Check(
    "sales_are_known",
    "Every sale in the ledger has a line type, an action and amounts of which it is known what they count as.",
    ["marts.fct_sales"],
    """
    select 'marts.fct_sales' as subject, tenant_id, min(happened_at) as since,
        sum(sales) || ' sales count as nothing, since nothing is known of '
            || string_agg(coalesce(kind, 'their amounts'), ', ' order by kind)
            || ', such as in the order ' || min(order_id) as told,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from (
        -- Names of an enum: whatever else may have come instead is not repeated.
        select tenant_id, count(*) as sales, min(order_id) as order_id, min(happened_at) as happened_at,
            concat_ws(' ', substring(action_type from '^[A-Z_]{1,40}$'), substring(line_type from '^[A-Z_]{1,40}$'))
                as kind
        from marts.fct_sales
        join ops.tenants using (tenant_id)
        where not is_known and tenants.status = 'active'
        group by tenant_id, kind
    ) as kinds
    group by tenant_id
    """,
    reads_marts=True,
)

DATES = Check(
    "dates_are_plausible",
    "No order, cancellation, sale or refund is dated before 1990 or more than a year ahead of the shop's today.",
    ["marts.fct_orders"],
    """
    select 'marts.fct_orders' as subject, tenant_id, null::timestamptz as since,
        count(distinct order_id) || ' orders have a date before 1990 or more than a year ahead,'
            || ' and count when they were created, such as ' || min(order_id) as told,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from (
        select tenant_id, order_id from marts.fct_orders where is_redated
        union all
        select tenant_id, order_id from intermediate.int_refunds where is_redated
    ) as redated
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    group by tenant_id
    """,
    is_error=False,  # no total is wrong, and the shop has to say when it was
    reads_marts=True,
)

CURRENCIES = Check(
    "all_money_is_in_the_shops_currency",
    "No order, abandoned checkout or cart is in another currency than the shop has now: no money of these counts.",
    ["marts.fct_orders", "marts.abandoned_checkouts", "marts.abandoned_carts"],
    """
    with others as (
        select 'marts.fct_orders' as subject, 'orders' as what, tenant_id, currency,
            count(*) as number, min(ordered_on) as first_on, max(ordered_on) as last_on
        from marts.fct_orders where is_in_other_currency
        group by tenant_id, currency
        union all
        select 'marts.abandoned_checkouts', 'checkouts', tenant_id, currency,
            count(*), min(abandoned_on), max(abandoned_on)
        from intermediate.int_checkouts where is_in_other_currency
        group by tenant_id, currency
        union all
        select 'marts.abandoned_carts', 'carts', tenant_id, 'another currency', count(*),
            min((carts.updated_at at time zone iana_timezone)::date),
            max((carts.updated_at at time zone iana_timezone)::date)
        from intermediate.int_carts as carts join ops.tenants using (tenant_id) where is_in_other_currency
        group by tenant_id
    )

    select subject, tenant_id, null::timestamptz as since,
        string_agg(
            number || ' ' || what || ' are in ' || coalesce(others.currency, 'no currency')
                || ' (' || to_char(first_on::timestamp, 'YYYY-MM-DD') || ' to '
                || to_char(last_on::timestamp, 'YYYY-MM-DD') || ')',
            ', ' order by last_on desc, others.currency
        ) || ', the shop is in ' || tenants.currency || ': no sum holds their money' as told,
        'xeno tenant show ' || tenant_id as command
    from others
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    group by subject, tenant_id, tenants.currency
    """,
    reads_marts=True,
)

HISTORY = Check(
    "history_is_complete",
    "Where a token is granted all orders, there are as many of them as Shopify counts for the store's customers.",
    ["raw.orders"],
    """
    with histories as (
        select tenant_id, orders.history_loaded_at as since, orders_at_shopify, orders_held,
            -- Of customers who changed since, orders may be on their way.
            coalesce(orders.synced_at, orders.history_loaded_at) - interval '10 minutes' as asked_at
        from ops.tenants
        join intermediate.int_tenant_figures using (tenant_id)
        join ops.sync_state orders using (tenant_id)
        join ops.sync_state customers using (tenant_id)
        where tenants.status = 'active' and 'read_all_orders' = any(access_scopes)
        and orders.stream = 'orders' and orders.history_loaded_at is not null and orders.history_since is null
        and customers.stream = 'customers' and customers.history_loaded_at is not null
    ),

    -- The marts' sums say whom it is worth to count again, by what raw has by now.
    recounted as (
        select tenant_id, since, at_shopify, held
        from histories
        cross join lateral (
            select coalesce(sum(number_of_orders), 0) as at_shopify
            from raw.customers
            where customers.tenant_id = histories.tenant_id and deleted_at is null and updated_at <= asked_at
        ) as told
        cross join lateral (
            select count(*) as held
            from raw.orders
            left join raw.customers buyer on buyer.tenant_id = orders.tenant_id and buyer.id = orders.customer_id
            where orders.tenant_id = histories.tenant_id and orders.deleted_at is null
            and not coalesce(orders.is_test, false) and orders.customer_id is not null
            -- Orders of who was merged into another stay his until they are read again.
            and (buyer.id is null or buyer.deleted_at is not null or buyer.updated_at <= asked_at)
        ) as kept
        where orders_at_shopify > 1 + 1.01 * orders_held and at_shopify > 1 + 1.01 * held
    ),

    differing as (
        select orders.tenant_id, orders.customers_differing, orders.started_at
        from ops.reconciliations orders
        join histories using (tenant_id)
        left join ops.reconciliations customers
            on customers.tenant_id = orders.tenant_id and customers.stream = 'customers'
        where orders.stream = 'orders' and orders.customers_differing > 1 + 0.01 * coalesce(customers.at_shopify, 0)
    )

    select 'raw.orders' as subject, tenant_id, coalesce(recounted.since, differing.started_at) as since,
        concat_ws(
            '; ',
            'Shopify counts ' || at_shopify || ' orders of its customers, and shows ' || held
                || ' of them to a token that is granted read_all_orders',
            'the last reconciliation left ' || customers_differing
                || ' customers with another number of orders than Shopify counts'
        ) as told,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from recounted
    full join differing using (tenant_id)
    """,
    reads_marts=True,
)

VOLUME = Check(
    "volume_is_as_usual",
    "The orders of the last whole day are about as many as on the same weekday of the eight weeks before.",
    ["marts.revenue_daily"],
    """
    with days as (
        select tenants.tenant_id, iana_timezone, ops.local_time(synced_at, iana_timezone)::date - 1 as last_day
        from ops.tenants
        join ops.sync_state on sync_state.tenant_id = tenants.tenant_id and stream = 'orders'
        where status = 'active' and synced_at is not null
    ),

    weeks as (
        select days.tenant_id, iana_timezone, last_day, week, coalesce(sales.orders, 0) as orders
        from days
        cross join generate_series(0, 8) as week
        left join intermediate.int_daily_sales sales
            on sales.tenant_id = days.tenant_id and sales.date_day = last_day - 7 * week
        where exists (
            select from intermediate.int_daily_sales first
            where first.tenant_id = days.tenant_id and first.date_day <= last_day - 7 * 8
        )
    ),

    usual as (
        select tenant_id, percentile_cont(0.5) within group (order by orders) as orders
        from weeks where week > 0 group by tenant_id
    ),

    spread as (
        -- 1.4826 times the median deviation is the standard deviation of what is normal, and counts scatter by their
        -- root at least.
        select tenant_id, usual.orders as usual,
            greatest(
                1.4826 * percentile_cont(0.5) within group (order by abs(weeks.orders - usual.orders)),
                sqrt(usual.orders)
            ) as deviation
        from weeks join usual using (tenant_id) where week > 0 group by tenant_id, usual.orders
    )

    select 'marts.revenue_daily' as subject, tenant_id, last_day::timestamp at time zone iana_timezone as since,
        weeks.orders || ' orders on ' || to_char(last_day::timestamp, 'YYYY-MM-DD') || ', where '
            || round(usual)::bigint || ' are usual' as told,
        'xeno reconcile ' || tenant_id as command
    from weeks
    join spread using (tenant_id)
    where week = 0 and usual >= 10 and abs(weeks.orders - usual) > 4 * deviation
    """,
    is_error=False,
    reads_marts=True,
)

DBT_TESTS = Check(
    "dbt_tests_pass",
    "The dbt tests of this model passed when they last ran, over the rows of all tenants.",
    [],
    """
    select model as subject, nullif(failures.tenant_id, '') as tenant_id, failures.failing_since as since,
        'the dbt test ' || test || ' did not pass: ' || failures.message as told,
        concat_ws(' ', 'xeno transform', nullif(failures.tenant_id, ''), '--test') as command
    from ops.dbt_test_failures failures
    join ops.dbt_tests using (test)
    cross join unnest(models) as model
    left join ops.tenants using (tenant_id)
    where failures.tenant_id = '' or tenants.status = 'active'
    """,
)

_FAILED_RUNS = """
    select 'shopify.shop' as subject, tenant_id, min(failing_since) as since,
        string_agg(
            'the last run of ' || case when job = '__ASSET_JOB' then 'a backfill' else job end || ' failed: ' || reason,
            '; ' order by job
        ) as told,
        'xeno sync ' || tenant_id as command
    from ops.run_failures
    join ops.tenants using (tenant_id)
    where status = 'active'
    """

RUNS = Check(
    "runs_land_every_tenant",
    "The last run of each job landed every active tenant that it was about.",
    ["shopify.shop"],
    f"{_FAILED_RUNS} group by tenant_id",
)

CHECKS: Sequence[Check] = (
    *(COUNTS, FRESHNESS, LAG, DEAD, SET_ASIDE, SCOPES, TOKENS, MARTS),
    *(LEDGER, SALES, DATES, CURRENCIES, HISTORY, VOLUME, DBT_TESTS, RUNS),
)

SUBSCRIPTIONS = Check(
    "stores_tell_of_changes",
    "Every active store was subscribed to all webhook topics when that was last compared.",
    [relation_of(CARTS)],
    """
    select 'raw.carts' as subject, tenant_id, null::timestamptz as since,
        coalesce(error, 'its webhook subscriptions were never compared') as told,
        'xeno webhooks register ' || tenant_id as command
    from ops.tenants
    left join ops.webhook_subscriptions using (tenant_id)
    where status = 'active' and %(has_public_url)s
    and (error is not null or (compared_at is null and connected_at < now() - interval '1 hour'))
    """,
    is_error=False,
)

PRIVACY = Check(
    "privacy_requests_are_in_time",
    "No privacy request has a week or less left until its deadline.",
    ["raw.customers"],
    """
    select 'raw.customers' as subject, tenant_id, min(received_at) as since,
        count(*) || ' privacy requests are open, the first due on '
            || to_char(min(deadline_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' as told,
        'xeno privacy run' as command
    from ops.privacy_requests
    where done_at is null and deadline_at < now() + %(near_deadline)s
    group by tenant_id
    """,
)

TRIED_AGAIN = Check(
    "what_is_tried_again_lands",
    "No tenant has failed in the runs that read webhooks, and in all that followed, for ten minutes.",
    ["shopify.shop"],
    f"""
    {_FAILED_RUNS} and job in ('events', 'privacy') and failing_since < now() - interval '10 minutes'
    group by tenant_id
    """,
)
"""Of runs that are tried again within seconds, one that fails is no reason to alert anybody."""

WATCHED: Sequence[Check] = (*(check for check in CHECKS if check is not RUNS), SUBSCRIPTIONS, PRIVACY, TRIED_AGAIN)
"""What alerts are raised about: also what other parts have asset checks of their own for. Failed runs have theirs."""


def find(connection: Connection, settings: Settings, check: Check) -> list[Finding]:
    """What one check finds, in the order of subjects and tenants; one query.

    Where that fails, each half of the tenants is asked about, down to those with whom it does: of these it is found
    that the check could not be evaluated.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    if check.reads_marts and connection.execute("select from ops.marts_version").fetchone() is None:
        return []
    scopes = {*_NEEDED_SCOPES, *(scope.strip() for scope in settings.shopify_scopes.split(",") if scope.strip())}
    bound = {
        "scopes": sorted(scopes),
        "streams": list(STREAM_NAMES),
        "has_public_url": settings.public_url is not None,
        "near_deadline": NEAR_DEADLINE,
    }
    try:
        return _ask(connection, check, check.query, bound)
    except Exception as error:
        if connection.closed:
            raise
        return _find_apart(connection, check, bound, error)


def _find_apart(connection: Connection, check: Check, bound: Mapping[str, object], error: Exception) -> list[Finding]:
    """What a check finds that fails for all tenants together."""
    query = _TENANTS.sub("(select * from ops.tenants where tenant_id = any(%(tenant_ids)s)) as tenants", check.query)

    def ask(tenant_ids: Sequence[str]) -> list[Finding]:
        return _ask(connection, check, query, {**bound, "tenant_ids": list(tenant_ids)})

    try:
        ask([])
    except Exception:  # noqa: BLE001 - no tenant is to blame
        return [_unevaluated(check, None, error)]
    active = "select tenant_id from ops.tenants where status = 'active' order by 1"
    parts, failures = bisect([tenant_id for (tenant_id,) in connection.execute(active)], ask)
    found = dict.fromkeys(finding for part in parts for finding in part)
    return [*found, *(_unevaluated(check, tenant_id, failure) for tenant_id, failure in failures.items())]


def _ask(connection: Connection, check: Check, query: str, bound: Mapping[str, object]) -> list[Finding]:
    with connection.transaction():
        rows = connection.cursor(row_factory=dict_row).execute(
            f"select * from ({query}) as found order by subject, tenant_id", bound
        )
        return [Finding(check=check.name, **row) for row in rows]


def _unevaluated(check: Check, tenant_id: str | None, error: Exception) -> Finding:
    subject = check.subjects[0] if check.subjects else "dbt"
    message = f"the check {check.name} could not be evaluated: {safe_message(error)}"
    return Finding(check.name, subject, tenant_id, message, "xeno doctor", is_evaluated=False)
