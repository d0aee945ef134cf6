"""Checks of the marts' figures: sales, dates, currencies, history and volume."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

LEDGER = Check(
    "ledger_matches_orders",
    "The ledger entries of each order of the last 60 days add up to the order's total at Shopify.",
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
        count(*) || ' order(s) of the last 60 days differ from their ledger, for example ' || min(id) as message,
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
    "sales_classified",
    "Every sale in the ledger has an action, a line type and amounts that the measures know.",
    ["marts.fct_sales"],
    """
    select 'marts.fct_sales' as subject, tenant_id, min(happened_at) as since,
        sum(sales) || ' sale(s) are not counted because their type or amounts are unknown ('
            || string_agg(coalesce(nullif(kind, ''), 'no type'), ', ' order by kind)
            || '), for example in order ' || min(order_id) as message,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from (
        -- Only names of an enum are quoted: anything else could be personal.
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
    "dates_plausible",
    "No order, cancellation, sale or refund is dated before 1990 or more than a year ahead of the shop's today.",
    ["marts.fct_orders"],
    """
    select 'marts.fct_orders' as subject, tenant_id, null::timestamptz as since,
        count(distinct order_id) || ' order(s) have a date before 1990 or more than a year ahead,'
            || ' and are dated by their creation instead, for example ' || min(order_id) as message,
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
    is_error=False,  # no total is wrong, and only the shop can correct the date
    reads_marts=True,
)

CURRENCIES = Check(
    "money_in_shop_currency",
    "Every order, checkout and cart is in the shop's current currency; the measures leave out other amounts.",
    ["marts.fct_orders", "marts.abandoned_checkouts", "marts.abandoned_carts"],
    """
    with foreign_amounts as (
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
            number || ' ' || what || ' are in ' || coalesce(foreign_amounts.currency, 'no currency')
                || ' (' || to_char(first_on::timestamp, 'YYYY-MM-DD') || ' to '
                || to_char(last_on::timestamp, 'YYYY-MM-DD') || ')',
            ', ' order by last_on desc, foreign_amounts.currency
        ) || '; the shop''s currency is ' || tenants.currency || ', so no sum includes their amounts' as message,
        'xeno tenant show ' || tenant_id as command
    from foreign_amounts
    join ops.tenants using (tenant_id)
    where tenants.status = 'active'
    group by subject, tenant_id, tenants.currency
    """,
    reads_marts=True,
)

HISTORY = Check(
    "history_is_complete",
    "With access to all orders, raw holds as many of them as Shopify counts for the store's customers.",
    ["raw.orders"],
    """
    with histories as (
        select tenant_id, orders.history_loaded_at as since, orders_at_shopify, orders_held,
            -- Orders of customers that changed later may not be loaded yet.
            coalesce(orders.synced_at, orders.history_loaded_at) - interval '10 minutes' as counted_until
        from ops.tenants
        join intermediate.int_tenant_figures using (tenant_id)
        join ops.sync_state orders using (tenant_id)
        join ops.sync_state customers using (tenant_id)
        where tenants.status = 'active' and 'read_all_orders' = any(access_scopes)
        and orders.stream = 'orders' and orders.history_loaded_at is not null and orders.history_since is null
        and customers.stream = 'customers' and customers.history_loaded_at is not null
    ),

    -- The marts' sums select the candidates; raw, which is newer, decides.
    recounted as (
        select tenant_id, since, at_shopify, held
        from histories
        cross join lateral (
            select coalesce(sum(number_of_orders), 0) as at_shopify
            from raw.customers
            where customers.tenant_id = histories.tenant_id and deleted_at is null and updated_at <= counted_until
        ) as counts
        cross join lateral (
            select count(*) as held
            from raw.orders
            left join raw.customers buyer on buyer.tenant_id = orders.tenant_id and buyer.id = orders.customer_id
            where orders.tenant_id = histories.tenant_id and orders.deleted_at is null
            and not coalesce(orders.is_test, false) and orders.customer_id is not null
            -- Orders of a merged customer keep the old id until they are read again.
            and (buyer.id is null or buyer.deleted_at is not null or buyer.updated_at <= counted_until)
        ) as loaded
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
            'Shopify counts ' || at_shopify || ' orders of its customers, but shows only ' || held
                || ' to a token that has read_all_orders',
            'the last reconciliation left ' || customers_differing
                || ' customers whose number of orders differs from Shopify''s'
        ) as message,
        'xeno sync ' || tenant_id || ' --stream orders --full' as command
    from recounted
    full join differing using (tenant_id)
    """,
    reads_marts=True,
)

VOLUME = Check(
    "order_volume_as_expected",
    "The number of orders on the last full day is close to that of the same weekday in the eight weeks before.",
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
        -- 1.4826 times the median absolute deviation estimates the standard deviation; that of a count is at least
        -- its root.
        select tenant_id, usual.orders as usual,
            greatest(
                1.4826 * percentile_cont(0.5) within group (order by abs(weeks.orders - usual.orders)),
                sqrt(usual.orders)
            ) as deviation
        from weeks join usual using (tenant_id) where week > 0 group by tenant_id, usual.orders
    )

    select 'marts.revenue_daily' as subject, tenant_id, last_day::timestamp at time zone iana_timezone as since,
        weeks.orders || ' orders on ' || to_char(last_day::timestamp, 'YYYY-MM-DD') || ', usually about '
            || round(usual)::bigint as message,
        'xeno reconcile ' || tenant_id as command
    from weeks
    join spread using (tenant_id)
    where week = 0 and usual >= 10 and abs(weeks.orders - usual) > 4 * deviation
    """,
    is_error=False,
    reads_marts=True,
)
