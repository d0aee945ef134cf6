-- What dbt made in the database at schema version 0016, the last with a schema core: pg_dump --schema-only, without
-- policies and privileges, which ops.secure sets.
CREATE SCHEMA IF NOT EXISTS core;
CREATE SCHEMA IF NOT EXISTS intermediate;
CREATE SCHEMA IF NOT EXISTS marts;
CREATE SCHEMA IF NOT EXISTS reference;
CREATE SCHEMA IF NOT EXISTS staging;
CREATE TABLE core.carts (
    tenant_id text NOT NULL,
    cart_number bigint NOT NULL,
    cart_id text,
    first_seen_at timestamp with time zone,
    updated_at timestamp with time zone,
    line_count bigint,
    units bigint,
    value numeric(20,4),
    is_in_other_currency boolean
);
CREATE TABLE core.checkouts (
    tenant_id text NOT NULL,
    checkout_id bigint NOT NULL,
    customer_id bigint,
    abandoned_at timestamp with time zone,
    abandoned_on date,
    line_count bigint,
    value numeric(20,4),
    is_recovered boolean,
    checkout_token text,
    currency text,
    is_in_other_currency boolean
);
CREATE TABLE core.customer_months (
    tenant_id text NOT NULL,
    customer_id bigint NOT NULL,
    period_number integer NOT NULL,
    cohort_month date,
    orders bigint,
    net_sales numeric(20,4)
);
CREATE TABLE core.customer_scores (
    tenant_id text NOT NULL,
    customer_id bigint NOT NULL,
    recency_score integer,
    frequency_score integer,
    monetary_score integer,
    rfm_segment text
);
CREATE TABLE core.customers (
    tenant_id text NOT NULL,
    customer_id bigint NOT NULL,
    has_profile boolean,
    email text,
    phone text,
    first_name text,
    last_name text,
    country_code text,
    created_at timestamp with time zone,
    shopify_rfm_group text,
    first_order_at timestamp with time zone,
    last_order_at timestamp with time zone,
    first_order_on date,
    last_order_on date,
    cohort_month date,
    orders_count bigint,
    priced_orders bigint,
    ordered_sales numeric(20,4),
    units bigint,
    gross_sales numeric(20,4),
    discounts numeric(20,4),
    returns numeric(20,4),
    net_sales numeric(20,4),
    shipping numeric(20,4),
    taxes numeric(20,4),
    duties_and_fees numeric(20,4),
    total_sales numeric(20,4),
    tips numeric(20,4),
    all_orders bigint,
    orders_at_shopify bigint
);
CREATE TABLE core.daily_sales (
    tenant_id text NOT NULL,
    date_day date NOT NULL,
    all_orders bigint,
    orders bigint,
    new_customers bigint,
    customers_of_day bigint,
    customers_of_week bigint,
    customers_of_month bigint,
    customers_of_quarter bigint,
    customers_of_year bigint,
    priced_orders bigint,
    ordered_sales numeric(20,4),
    units bigint,
    gross_sales numeric(20,4),
    discounts numeric(20,4),
    returns numeric(20,4),
    net_sales numeric(20,4),
    shipping numeric(20,4),
    taxes numeric(20,4),
    duties_and_fees numeric(20,4),
    total_sales numeric(20,4),
    tips numeric(20,4)
);
CREATE TABLE core.product_months (
    tenant_id text NOT NULL,
    product_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    month date NOT NULL,
    orders bigint,
    units bigint,
    gross_sales numeric(20,4),
    discounts numeric(20,4),
    returns numeric(20,4),
    net_sales numeric(20,4),
    taxes numeric(20,4)
);
CREATE TABLE core.refunds (
    tenant_id text NOT NULL,
    refund_id bigint NOT NULL,
    order_id bigint,
    refunded_at timestamp with time zone,
    amount numeric(20,4),
    is_redated boolean
);
CREATE TABLE core.tenant_figures (
    tenant_id text NOT NULL,
    as_of_date date,
    first_sale_on date,
    last_day date,
    high_value_at_least numeric,
    rfm_is_meaningful boolean,
    orders_held numeric,
    orders_at_shopify numeric
);
CREATE VIEW staging.stg_orders AS
 SELECT tenant_id,
    id AS order_id,
    name AS order_name,
    customer_id,
    created_at,
    processed_at AS ordered_at,
    cancelled_at,
    cancel_reason,
    is_test,
    currency,
    presentment_currency,
    financial_status,
    fulfillment_status,
    source_name,
    country_code,
    tags,
    discount_codes,
    checkout_token,
    cart_token,
    (total_price)::numeric(20,4) AS total_price,
    (current_total_price)::numeric(20,4) AS current_total_price,
    updated_at,
    deleted_at,
    loaded_at
   FROM raw.orders;
CREATE VIEW staging.stg_tenants AS
 SELECT tenant_id,
    shop_domain,
    name AS shop_name,
    currency,
    iana_timezone,
    status,
    plan
   FROM ops.tenants
  WHERE (status <> 'removed'::text);
CREATE VIEW intermediate.int_orders AS
 SELECT tenant_id,
    order_id,
    order_name,
    customer_id,
    placed_at,
    ordered_at,
    ((ordered_at AT TIME ZONE iana_timezone))::date AS ordered_on,
    is_redated,
    currency,
    (currency IS DISTINCT FROM shop_currency) AS is_in_other_currency,
    presentment_currency,
    financial_status,
    fulfillment_status,
    cancelled_at,
    is_counted,
    source_name,
    country_code,
    tags,
    discount_codes,
    checkout_token,
    cart_token,
    iana_timezone
   FROM ( SELECT orders.tenant_id,
            orders.order_id,
            orders.order_name,
            orders.customer_id,
            orders.placed_at,
            orders.processed_at,
            orders.currency,
            orders.presentment_currency,
            orders.financial_status,
            orders.fulfillment_status,
            orders.cancelled_as_told_at,
            orders.source_name,
            orders.country_code,
            orders.tags,
            orders.discount_codes,
            orders.checkout_token,
            orders.cart_token,
            orders.iana_timezone,
            orders.shop_currency,
                CASE
                    WHEN (((orders.processed_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (orders.processed_at <= now())) OR ((orders.processed_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (orders.processed_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                       FROM ops.transforms
                      WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone)))) THEN orders.processed_at
                    ELSE orders.placed_at
                END AS ordered_at,
                CASE
                    WHEN ((orders.cancelled_as_told_at IS NULL) OR (((orders.cancelled_as_told_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (orders.cancelled_as_told_at <= now())) OR ((orders.cancelled_as_told_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (orders.cancelled_as_told_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                       FROM ops.transforms
                      WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone))))) THEN orders.cancelled_as_told_at
                    ELSE orders.placed_at
                END AS cancelled_at,
            (orders.cancelled_as_told_at IS NULL) AS is_counted,
            ((NOT COALESCE((((orders.processed_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (orders.processed_at <= now())) OR ((orders.processed_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (orders.processed_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                   FROM ops.transforms
                  WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone)))), false)) OR ((orders.cancelled_as_told_at IS NOT NULL) AND (NOT (((orders.cancelled_as_told_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (orders.cancelled_as_told_at <= now())) OR ((orders.cancelled_as_told_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (orders.cancelled_as_told_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                   FROM ops.transforms
                  WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone))))))) AS is_redated
           FROM ( SELECT orders_1.tenant_id,
                    orders_1.order_id,
                    orders_1.order_name,
                    orders_1.customer_id,
                        CASE
                            WHEN (((orders_1.created_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (orders_1.created_at <= now())) OR ((orders_1.created_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE tenants.iana_timezone)) AND (orders_1.created_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                               FROM ops.transforms
                              WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE tenants.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE tenants.iana_timezone)))) THEN orders_1.created_at
                            ELSE orders_1.loaded_at
                        END AS placed_at,
                    orders_1.ordered_at AS processed_at,
                    orders_1.currency,
                    orders_1.presentment_currency,
                    orders_1.financial_status,
                    orders_1.fulfillment_status,
                    orders_1.cancelled_at AS cancelled_as_told_at,
                    orders_1.source_name,
                    orders_1.country_code,
                    orders_1.tags,
                    orders_1.discount_codes,
                    orders_1.checkout_token,
                    orders_1.cart_token,
                    tenants.iana_timezone,
                    tenants.currency AS shop_currency
                   FROM (staging.stg_orders orders_1
                     JOIN staging.stg_tenants tenants ON ((tenants.tenant_id = orders_1.tenant_id)))
                  WHERE ((orders_1.deleted_at IS NULL) AND (NOT COALESCE(orders_1.is_test, false)))) orders) dated;
CREATE VIEW staging.stg_order_agreements AS
 SELECT tenant_id,
    id AS agreement_id,
    order_id,
    reason,
    happened_at,
    refund_id
   FROM raw.order_agreements;
CREATE VIEW staging.stg_order_line_items AS
 SELECT tenant_id,
    id AS order_line_id,
    order_id,
    product_id,
    variant_id,
    sku,
    title,
    quantity,
    current_quantity,
    (unit_price)::numeric(20,4) AS unit_price,
    is_gift_card
   FROM raw.order_line_items;
CREATE VIEW staging.stg_order_sales AS
 SELECT tenant_id,
    id AS sale_id,
    agreement_id,
    line_item_id AS order_line_id,
    action_type,
    line_type,
    quantity,
    (total_amount)::numeric(20,4) AS total_amount,
    (discount_amount)::numeric(20,4) AS discount_amount,
    (tax_amount)::numeric(20,4) AS tax_amount
   FROM raw.order_sales;
CREATE VIEW intermediate.int_sales AS
 SELECT tenant_id,
    sale_id,
    order_id,
    customer_id,
    is_counted,
    order_line_id,
    product_id,
    variant_id,
    happened_at,
    happened_on,
    is_redated,
    reason,
    action_type,
    line_type,
    quantity,
    is_known,
    (units)::bigint AS units,
    (gross_sales)::numeric(20,4) AS gross_sales,
    (discounts)::numeric(20,4) AS discounts,
    (returns)::numeric(20,4) AS returns,
    (((gross_sales + discounts) + returns))::numeric(20,4) AS net_sales,
    (shipping)::numeric(20,4) AS shipping,
    (taxes)::numeric(20,4) AS taxes,
    (duties_and_fees)::numeric(20,4) AS duties_and_fees,
    ((((((gross_sales + discounts) + returns) + shipping) + taxes) + duties_and_fees))::numeric(20,4) AS total_sales,
    (tips)::numeric(20,4) AS tips
   FROM ( SELECT sales.tenant_id,
            sales.sale_id,
            sales.order_id,
            sales.customer_id,
            sales.is_counted,
            sales.order_line_id,
            sales.product_id,
            sales.variant_id,
            sales.happened_at,
            sales.is_redated,
            sales.reason,
            sales.action_type,
            sales.line_type,
            sales.quantity,
            sales.amount,
            sales.discount,
            sales.tax,
            sales.is_known,
            sales.counts,
            sales.is_product_sold,
            sales.is_product_returned,
            sales.iana_timezone,
            ((sales.happened_at AT TIME ZONE sales.iana_timezone))::date AS happened_on,
                CASE
                    WHEN (sales.is_product_sold AND (sales.action_type = 'ORDER'::text) AND sales.counts) THEN abs(COALESCE(sales.quantity, 0))
                    WHEN (sales.is_product_returned AND sales.counts) THEN (- abs(COALESCE(sales.quantity, 0)))
                    ELSE 0
                END AS units,
                CASE
                    WHEN (sales.is_product_sold AND sales.counts) THEN (sales.amount + sales.discount)
                    ELSE (0)::numeric
                END AS gross_sales,
                CASE
                    WHEN (sales.is_product_sold AND sales.counts) THEN (- sales.discount)
                    ELSE (0)::numeric
                END AS discounts,
                CASE
                    WHEN ((sales.is_product_returned OR (sales.line_type = 'ADJUSTMENT'::text)) AND sales.counts) THEN sales.amount
                    ELSE (0)::numeric
                END AS returns,
                CASE
                    WHEN ((sales.line_type = 'SHIPPING'::text) AND sales.counts) THEN sales.amount
                    ELSE (0)::numeric
                END AS shipping,
                CASE
                    WHEN ((sales.line_type <> 'GIFT_CARD'::text) AND sales.counts) THEN sales.tax
                    ELSE (0)::numeric
                END AS taxes,
                CASE
                    WHEN ((sales.line_type = ANY (ARRAY['DUTY'::text, 'FEE'::text, 'ADDITIONAL_FEE'::text])) AND sales.counts) THEN sales.amount
                    ELSE (0)::numeric
                END AS duties_and_fees,
                CASE
                    WHEN ((sales.line_type = 'TIP'::text) AND sales.counts) THEN sales.amount
                    ELSE (0)::numeric
                END AS tips
           FROM ( SELECT sales_1.tenant_id,
                    sales_1.sale_id,
                    orders.order_id,
                    orders.customer_id,
                    orders.is_counted,
                    sales_1.order_line_id,
                    lines.product_id,
                    lines.variant_id,
                        CASE
                            WHEN (agreements.reason = 'ORDER'::text) THEN orders.ordered_at
                            WHEN (((agreements.happened_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (agreements.happened_at <= now())) OR ((agreements.happened_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (agreements.happened_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                               FROM ops.transforms
                              WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone)))) THEN agreements.happened_at
                            ELSE orders.placed_at
                        END AS happened_at,
                        CASE
                            WHEN (agreements.reason = 'ORDER'::text) THEN orders.is_redated
                            ELSE (NOT COALESCE((((agreements.happened_at >= '1990-01-02 00:00:00+00'::timestamp with time zone) AND (agreements.happened_at <= now())) OR ((agreements.happened_at >= ('1990-01-01 00:00:00'::timestamp without time zone AT TIME ZONE orders.iana_timezone)) AND (agreements.happened_at < (((((((COALESCE(( SELECT min(transforms.started_at) AS min
                               FROM ops.transforms
                              WHERE (transforms.transform_id = (NULLIF(current_setting('xeno.transform_id'::text, true), ''::text))::uuid)), now()) AT TIME ZONE orders.iana_timezone))::date + '1 year'::interval))::date + 1))::timestamp without time zone AT TIME ZONE orders.iana_timezone)))), false))
                        END AS is_redated,
                    agreements.reason,
                    sales_1.action_type,
                    sales_1.line_type,
                    sales_1.quantity,
                    (sales_1.total_amount - sales_1.tax_amount) AS amount,
                    sales_1.discount_amount AS discount,
                    sales_1.tax_amount AS tax,
                    COALESCE(((sales_1.action_type = ANY (ARRAY['ORDER'::text, 'UPDATE'::text, 'RETURN'::text])) AND (sales_1.line_type = ANY (ARRAY['ADDITIONAL_FEE'::text, 'ADJUSTMENT'::text, 'DUTY'::text, 'FEE'::text, 'GIFT_CARD'::text, 'PRODUCT'::text, 'SHIPPING'::text, 'TIP'::text])) AND (sales_1.total_amount IS NOT NULL) AND (sales_1.discount_amount IS NOT NULL) AND (sales_1.tax_amount IS NOT NULL)), false) AS is_known,
                    (COALESCE(((sales_1.action_type = ANY (ARRAY['ORDER'::text, 'UPDATE'::text, 'RETURN'::text])) AND (sales_1.line_type = ANY (ARRAY['ADDITIONAL_FEE'::text, 'ADJUSTMENT'::text, 'DUTY'::text, 'FEE'::text, 'GIFT_CARD'::text, 'PRODUCT'::text, 'SHIPPING'::text, 'TIP'::text])) AND (sales_1.total_amount IS NOT NULL) AND (sales_1.discount_amount IS NOT NULL) AND (sales_1.tax_amount IS NOT NULL)), false) AND (NOT COALESCE(orders.is_in_other_currency, false))) AS counts,
                    ((sales_1.line_type = 'PRODUCT'::text) AND (sales_1.action_type = ANY (ARRAY['ORDER'::text, 'UPDATE'::text]))) AS is_product_sold,
                    ((sales_1.line_type = 'PRODUCT'::text) AND (sales_1.action_type = 'RETURN'::text)) AS is_product_returned,
                    orders.iana_timezone
                   FROM (((staging.stg_order_sales sales_1
                     JOIN staging.stg_order_agreements agreements ON (((agreements.tenant_id = sales_1.tenant_id) AND (agreements.agreement_id = sales_1.agreement_id))))
                     JOIN intermediate.int_orders orders ON (((orders.tenant_id = agreements.tenant_id) AND (orders.order_id = agreements.order_id))))
                     LEFT JOIN staging.stg_order_line_items lines ON (((lines.tenant_id = sales_1.tenant_id) AND (lines.order_line_id = sales_1.order_line_id))))) sales) measured;
CREATE TABLE marts.fct_orders (
    tenant_id text NOT NULL,
    order_id bigint NOT NULL,
    order_name text,
    customer_id bigint,
    ordered_at timestamp with time zone,
    ordered_on date,
    currency text,
    presentment_currency text,
    financial_status text,
    fulfillment_status text,
    cancelled_at timestamp with time zone,
    is_counted boolean,
    customer_order_number bigint,
    is_first_order boolean,
    source_name text,
    country_code text,
    tags text[],
    discount_codes text[],
    line_count bigint,
    units bigint,
    gross_sales numeric(20,4),
    discounts numeric(20,4),
    returns numeric(20,4),
    net_sales numeric(20,4),
    shipping numeric(20,4),
    taxes numeric(20,4),
    duties_and_fees numeric(20,4),
    total_sales numeric(20,4),
    tips numeric(20,4),
    ordered_sales numeric(20,4),
    ordered_total numeric(20,4),
    is_first_of_day boolean,
    is_first_of_week boolean,
    is_first_of_month boolean,
    is_first_of_quarter boolean,
    is_first_of_year boolean,
    checkout_token text,
    cart_token text,
    is_redated boolean,
    is_in_other_currency boolean
);
CREATE VIEW marts.abandoned_carts WITH (security_invoker='true') AS
 SELECT carts.tenant_id,
    carts.cart_id,
    carts.first_seen_at,
    carts.updated_at,
    carts.line_count,
    carts.units,
    carts.value,
    (abandonment.abandoned_at IS NOT NULL) AS is_abandoned,
    abandonment.abandoned_at
   FROM (core.carts carts
     LEFT JOIN LATERAL ( SELECT (carts.updated_at + '01:00:00'::interval) AS abandoned_at
          WHERE ((carts.line_count > 0) AND (carts.updated_at <= (now() - '01:00:00'::interval)) AND (NOT (EXISTS ( SELECT
                   FROM marts.fct_orders orders
                  WHERE ((orders.tenant_id = carts.tenant_id) AND (orders.cart_token = carts.cart_id))))))) abandonment ON (true));
CREATE VIEW marts.abandoned_checkouts WITH (security_invoker='true') AS
 SELECT checkouts.tenant_id,
    checkouts.checkout_id,
    checkouts.customer_id,
    customers.email,
    checkouts.abandoned_at,
    checkouts.abandoned_on,
    checkouts.line_count,
    checkouts.value,
    checkouts.is_recovered,
    recovered.order_id AS recovered_order_id
   FROM ((core.checkouts checkouts
     LEFT JOIN core.customers customers ON (((customers.tenant_id = checkouts.tenant_id) AND (customers.customer_id = checkouts.customer_id))))
     LEFT JOIN LATERAL ( SELECT min(orders.order_id) AS order_id
           FROM marts.fct_orders orders
          WHERE ((orders.tenant_id = checkouts.tenant_id) AND (orders.checkout_token = checkouts.checkout_token))) recovered ON (true));
CREATE VIEW marts.checkout_recovery_daily WITH (security_invoker='true') AS
 SELECT tenant_id,
    abandoned_on AS date_day,
    count(*) AS checkouts,
    (COALESCE(sum(value), (0)::numeric))::numeric(20,4) AS value,
    count(*) FILTER (WHERE is_recovered) AS recovered,
    (COALESCE(sum(value) FILTER (WHERE is_recovered), (0)::numeric))::numeric(20,4) AS recovered_value,
    (((count(*) FILTER (WHERE is_recovered))::numeric / (count(*))::numeric))::numeric(20,6) AS recovery_rate
   FROM core.checkouts
  GROUP BY tenant_id, abandoned_on;
CREATE VIEW marts.cohort_ltv WITH (security_invoker='true') AS
 SELECT tenant_id,
    cohort_month,
    count(*) AS customers,
    (sum(net_sales))::numeric(20,4) AS net_sales,
    (avg(net_sales))::numeric(20,4) AS average_ltv,
    (avg(orders_count))::numeric(20,4) AS average_orders,
    (percentile_cont((0.9)::double precision) WITHIN GROUP (ORDER BY ((net_sales)::double precision)))::numeric(20,4) AS p90_ltv
   FROM core.customers
  WHERE (cohort_month IS NOT NULL)
  GROUP BY tenant_id, cohort_month;
CREATE VIEW marts.cohort_retention WITH (security_invoker='true') AS
 WITH active AS (
         SELECT customer_months.tenant_id,
            customer_months.cohort_month,
            customer_months.period_number,
            count(*) FILTER (WHERE (customer_months.orders > 0)) AS active_customers,
            sum(customer_months.orders) AS orders,
            sum(customer_months.net_sales) AS net_sales
           FROM core.customer_months
          GROUP BY customer_months.tenant_id, customer_months.cohort_month, customer_months.period_number
        ), cohorts AS (
         SELECT customers.tenant_id,
            customers.cohort_month,
            count(*) AS cohort_size,
            max((((((12)::numeric * (EXTRACT(year FROM figures.last_day) - EXTRACT(year FROM customers.cohort_month))) + EXTRACT(month FROM figures.last_day)) - EXTRACT(month FROM customers.cohort_month)))::integer) AS last_period
           FROM (core.customers customers
             JOIN core.tenant_figures figures USING (tenant_id))
          WHERE (customers.cohort_month IS NOT NULL)
          GROUP BY customers.tenant_id, customers.cohort_month
        ), periods AS (
         SELECT cohorts.tenant_id,
            cohorts.cohort_month,
            cohorts.cohort_size,
            generate_series(0, cohorts.last_period) AS period_number
           FROM cohorts
        ), measured AS (
         SELECT periods.tenant_id,
            periods.cohort_month,
            periods.period_number,
            periods.cohort_size,
            COALESCE(active.active_customers, (0)::bigint) AS active_customers,
            COALESCE(active.orders, (0)::numeric) AS orders,
            COALESCE(active.net_sales, (0)::numeric) AS net_sales,
            sum(COALESCE(active.net_sales, (0)::numeric)) OVER (PARTITION BY periods.tenant_id, periods.cohort_month ORDER BY periods.period_number) AS cumulative_net_sales
           FROM (periods
             LEFT JOIN active USING (tenant_id, cohort_month, period_number))
        )
 SELECT tenant_id,
    cohort_month,
    period_number,
    cohort_size,
    active_customers,
    (((active_customers)::numeric / (cohort_size)::numeric))::numeric(20,6) AS retention_rate,
    (orders)::bigint AS orders,
    (net_sales)::numeric(20,4) AS net_sales,
    (cumulative_net_sales)::numeric(20,4) AS cumulative_net_sales,
    ((cumulative_net_sales / (cohort_size)::numeric))::numeric(20,4) AS ltv
   FROM measured;
CREATE TABLE marts.dim_tenants (
    tenant_id text NOT NULL,
    shop_domain text,
    shop_name text,
    currency text,
    iana_timezone text,
    status text,
    plan text,
    first_order_on date,
    last_order_on date,
    orders_loaded bigint,
    last_loaded_at timestamp with time zone,
    history_is_complete boolean
);
CREATE TABLE marts.rfm_history (
    tenant_id text NOT NULL,
    customer_id bigint NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    recency_score integer,
    frequency_score integer,
    monetary_score integer,
    rfm_segment text
);
CREATE VIEW marts.customer_timeline WITH (security_invoker='true') AS
 WITH moves AS (
         SELECT rfm_history.tenant_id,
            rfm_history.customer_id,
            rfm_history.valid_from,
            rfm_history.valid_to,
            rfm_history.recency_score,
            rfm_history.frequency_score,
            rfm_history.monetary_score,
            rfm_history.rfm_segment,
            lag(rfm_history.rfm_segment) OVER (PARTITION BY rfm_history.tenant_id, rfm_history.customer_id ORDER BY rfm_history.valid_from) AS previous_segment
           FROM marts.rfm_history
        )
 SELECT customers.tenant_id,
    customers.customer_id,
    customers.created_at AS occurred_at,
    ('created/'::text || customers.customer_id) AS event_id,
    'created'::text AS event_type,
    'Became a customer'::text AS title,
    NULL::numeric(20,4) AS amount
   FROM core.customers
  WHERE (customers.has_profile AND (customers.created_at IS NOT NULL))
UNION ALL
 SELECT fct_orders.tenant_id,
    fct_orders.customer_id,
    fct_orders.ordered_at AS occurred_at,
    ('order/'::text || fct_orders.order_id) AS event_id,
    'order'::text AS event_type,
    ('Ordered '::text || COALESCE(fct_orders.order_name, (fct_orders.order_id)::text)) AS title,
        CASE
            WHEN (NOT fct_orders.is_in_other_currency) THEN fct_orders.ordered_total
            ELSE NULL::numeric
        END AS amount
   FROM marts.fct_orders
  WHERE (fct_orders.customer_id IS NOT NULL)
UNION ALL
 SELECT fct_orders.tenant_id,
    fct_orders.customer_id,
    fct_orders.cancelled_at AS occurred_at,
    ('cancellation/'::text || fct_orders.order_id) AS event_id,
    'cancellation'::text AS event_type,
    ('Cancelled '::text || COALESCE(fct_orders.order_name, (fct_orders.order_id)::text)) AS title,
    NULL::numeric AS amount
   FROM marts.fct_orders
  WHERE ((fct_orders.customer_id IS NOT NULL) AND (fct_orders.cancelled_at IS NOT NULL))
UNION ALL
 SELECT refunds.tenant_id,
    orders.customer_id,
    refunds.refunded_at AS occurred_at,
    ('refund/'::text || refunds.refund_id) AS event_id,
    'refund'::text AS event_type,
    ('Refund of '::text || COALESCE(orders.order_name, (refunds.order_id)::text)) AS title,
    (- refunds.amount) AS amount
   FROM (core.refunds refunds
     JOIN marts.fct_orders orders USING (tenant_id, order_id))
  WHERE (orders.customer_id IS NOT NULL)
UNION ALL
 SELECT checkouts.tenant_id,
    checkouts.customer_id,
    checkouts.abandoned_at AS occurred_at,
    ('checkout/'::text || checkouts.checkout_id) AS event_id,
    'checkout_abandoned'::text AS event_type,
    'Left a checkout'::text AS title,
    checkouts.value AS amount
   FROM core.checkouts
  WHERE (checkouts.customer_id IS NOT NULL)
UNION ALL
 SELECT moves.tenant_id,
    moves.customer_id,
    ((moves.valid_from)::timestamp without time zone AT TIME ZONE tenants.iana_timezone) AS occurred_at,
    ((('segment/'::text || moves.customer_id) || '/'::text) || to_char((moves.valid_from)::timestamp without time zone, 'YYYY-MM-DD'::text)) AS event_id,
    'segment_change'::text AS event_type,
    ((('From '::text || moves.previous_segment) || ' to '::text) || moves.rfm_segment) AS title,
    NULL::numeric AS amount
   FROM (moves
     JOIN marts.dim_tenants tenants USING (tenant_id))
  WHERE (moves.previous_segment <> moves.rfm_segment);
CREATE VIEW marts.dim_customers WITH (security_invoker='true') AS
 SELECT customers.tenant_id,
    customers.customer_id,
    customers.email,
    customers.phone,
    customers.first_name,
    customers.last_name,
    customers.country_code,
    customers.created_at,
    customers.first_order_at,
    customers.last_order_at,
    customers.first_order_on,
    customers.last_order_on,
    customers.cohort_month,
    customers.orders_count,
    COALESCE(customers.units, (0)::bigint) AS units,
    (COALESCE(customers.gross_sales, (0)::numeric))::numeric(20,4) AS gross_sales,
    (COALESCE(customers.discounts, (0)::numeric))::numeric(20,4) AS discounts,
    (COALESCE(customers.returns, (0)::numeric))::numeric(20,4) AS returns,
    (COALESCE(customers.net_sales, (0)::numeric))::numeric(20,4) AS net_sales,
    (COALESCE(customers.shipping, (0)::numeric))::numeric(20,4) AS shipping,
    (COALESCE(customers.taxes, (0)::numeric))::numeric(20,4) AS taxes,
    (COALESCE(customers.duties_and_fees, (0)::numeric))::numeric(20,4) AS duties_and_fees,
    (COALESCE(customers.total_sales, (0)::numeric))::numeric(20,4) AS total_sales,
    (COALESCE(customers.tips, (0)::numeric))::numeric(20,4) AS tips,
    ((customers.ordered_sales / (NULLIF(customers.priced_orders, 0))::numeric))::numeric(20,4) AS average_order_value,
        CASE
            WHEN (customers.last_order_on IS NOT NULL) THEN GREATEST((figures.as_of_date - customers.last_order_on), 0)
            ELSE NULL::integer
        END AS days_since_last_order,
    (((EXTRACT(epoch FROM (customers.last_order_at - customers.first_order_at)) / (86400)::numeric) / (NULLIF((customers.orders_count - 1), 0))::numeric))::numeric(20,4) AS average_days_between_orders,
    COALESCE(((customers.orders_count > 0) AND (customers.net_sales > (0)::numeric) AND (customers.net_sales >= figures.high_value_at_least)), false) AS is_high_value,
    COALESCE(((figures.as_of_date - customers.last_order_on) > 90), false) AS is_churn_risk,
        CASE
            WHEN ((customers.orders_count >= 5) AND ((figures.as_of_date - customers.last_order_on) > 90)) THEN 'HIGH_VALUE_CHURN_RISK'::text
            WHEN (customers.orders_count >= 5) THEN 'HIGH_VALUE_ACTIVE'::text
            WHEN ((customers.orders_count = 1) AND ((figures.as_of_date - customers.last_order_on) < 30)) THEN 'NEW_CUSTOMER'::text
            ELSE 'STANDARD'::text
        END AS churn_segment,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    scores.rfm_segment,
    customers.shopify_rfm_group,
    COALESCE(figures.rfm_is_meaningful, false) AS rfm_is_meaningful
   FROM ((core.customers customers
     JOIN core.tenant_figures figures USING (tenant_id))
     LEFT JOIN core.customer_scores scores USING (tenant_id, customer_id))
  WHERE customers.has_profile;
CREATE TABLE marts.dim_product_variants (
    tenant_id text NOT NULL,
    variant_id bigint NOT NULL,
    product_id bigint,
    title text,
    sku text,
    price numeric(20,4),
    compare_at_price numeric(20,4)
);
CREATE TABLE marts.dim_products (
    tenant_id text NOT NULL,
    product_id bigint NOT NULL,
    title text,
    vendor text,
    product_type text,
    status text,
    variants_count bigint,
    min_price numeric(20,4),
    max_price numeric(20,4),
    created_at timestamp with time zone,
    is_deleted boolean
);
CREATE TABLE marts.fct_order_lines (
    tenant_id text NOT NULL,
    order_line_id bigint NOT NULL,
    order_id bigint,
    product_id bigint,
    variant_id bigint,
    sku text,
    title text,
    ordered_on date,
    quantity integer,
    current_quantity integer,
    unit_price numeric(20,4),
    gross_sales numeric(20,4),
    discounts numeric(20,4)
);
CREATE TABLE marts.fct_sales (
    tenant_id text NOT NULL,
    sale_id text NOT NULL,
    order_id bigint,
    customer_id bigint,
    order_line_id bigint,
    happened_at timestamp with time zone,
    happened_on date,
    reason text,
    action_type text,
    line_type text,
    quantity integer,
    units bigint,
    gross_sales numeric(20,4),
    discounts numeric(20,4),
    returns numeric(20,4),
    net_sales numeric(20,4),
    shipping numeric(20,4),
    taxes numeric(20,4),
    duties_and_fees numeric(20,4),
    total_sales numeric(20,4),
    tips numeric(20,4),
    is_counted boolean,
    product_id bigint,
    variant_id bigint,
    happened_month date,
    is_first_of_product boolean,
    is_known boolean,
    is_redated boolean
);
CREATE VIEW marts.product_performance WITH (security_invoker='true') AS
 SELECT tenant_id,
    product_id,
    month,
    (sum(units))::bigint AS units,
    (sum(orders))::bigint AS orders,
    (sum(gross_sales))::numeric(20,4) AS gross_sales,
    (sum(discounts))::numeric(20,4) AS discounts,
    (sum(returns))::numeric(20,4) AS returns,
    (sum(net_sales))::numeric(20,4) AS net_sales,
    (sum(taxes))::numeric(20,4) AS taxes,
    ((sum(net_sales) + sum(taxes)))::numeric(20,4) AS total_sales,
    row_number() OVER (PARTITION BY tenant_id, month ORDER BY (sum(net_sales)) DESC, product_id) AS rank_by_net_sales
   FROM core.product_months
  GROUP BY tenant_id, product_id, month;
CREATE VIEW marts.revenue_daily WITH (security_invoker='true') AS
 WITH days AS (
         SELECT tenant_figures.tenant_id,
            (tenant_figures.first_sale_on + generate_series(0, (tenant_figures.last_day - tenant_figures.first_sale_on))) AS date_day
           FROM core.tenant_figures
        ), measured AS (
         SELECT days.tenant_id,
            days.date_day,
            COALESCE(sales.orders, (0)::bigint) AS orders,
            COALESCE(sales.customers_of_day, (0)::bigint) AS customers,
            COALESCE(sales.new_customers, (0)::bigint) AS new_customers,
            (COALESCE(sales.customers_of_day, (0)::bigint) - COALESCE(sales.new_customers, (0)::bigint)) AS returning_customers,
            COALESCE(sales.units, (0)::bigint) AS units,
            (COALESCE(sales.gross_sales, (0)::numeric))::numeric(20,4) AS gross_sales,
            (COALESCE(sales.discounts, (0)::numeric))::numeric(20,4) AS discounts,
            (COALESCE(sales.returns, (0)::numeric))::numeric(20,4) AS returns,
            (COALESCE(sales.net_sales, (0)::numeric))::numeric(20,4) AS net_sales,
            (COALESCE(sales.shipping, (0)::numeric))::numeric(20,4) AS shipping,
            (COALESCE(sales.taxes, (0)::numeric))::numeric(20,4) AS taxes,
            (COALESCE(sales.duties_and_fees, (0)::numeric))::numeric(20,4) AS duties_and_fees,
            (COALESCE(sales.total_sales, (0)::numeric))::numeric(20,4) AS total_sales,
            (COALESCE(sales.tips, (0)::numeric))::numeric(20,4) AS tips,
            ((sales.ordered_sales / (NULLIF(sales.priced_orders, 0))::numeric))::numeric(20,4) AS average_order_value
           FROM (days
             LEFT JOIN core.daily_sales sales USING (tenant_id, date_day))
        )
 SELECT tenant_id,
    date_day,
    orders,
    customers,
    new_customers,
    returning_customers,
    units,
    gross_sales,
    discounts,
    returns,
    net_sales,
    shipping,
    taxes,
    duties_and_fees,
    total_sales,
    tips,
    average_order_value,
    (avg(net_sales) OVER (past ROWS BETWEEN 6 PRECEDING AND CURRENT ROW))::numeric(20,4) AS net_sales_7d_avg,
    (avg(net_sales) OVER (past ROWS BETWEEN 27 PRECEDING AND CURRENT ROW))::numeric(20,4) AS net_sales_28d_avg
   FROM measured
  WINDOW past AS (PARTITION BY tenant_id ORDER BY date_day);
CREATE VIEW marts.revenue_trends WITH (security_invoker='true') AS
 WITH days AS (
         SELECT tenant_figures.tenant_id,
            (tenant_figures.first_sale_on + generate_series(0, (tenant_figures.last_day - tenant_figures.first_sale_on))) AS date_day
           FROM core.tenant_figures
        ), measured AS (
         SELECT days.tenant_id,
            grains.grain,
            (date_trunc(grains.grain, (days.date_day)::timestamp without time zone))::date AS period_start,
            (COALESCE(sum(sales.orders), (0)::numeric))::bigint AS orders,
            (COALESCE(sum(
                CASE grains.grain
                    WHEN 'day'::text THEN sales.customers_of_day
                    WHEN 'week'::text THEN sales.customers_of_week
                    WHEN 'month'::text THEN sales.customers_of_month
                    WHEN 'quarter'::text THEN sales.customers_of_quarter
                    WHEN 'year'::text THEN sales.customers_of_year
                    ELSE NULL::bigint
                END), (0)::numeric))::bigint AS customers,
            (COALESCE(sum(sales.new_customers), (0)::numeric))::bigint AS new_customers,
            sum(sales.ordered_sales) AS ordered_sales,
            sum(sales.priced_orders) AS priced_orders,
            COALESCE(sum(sales.units), (0)::numeric) AS units,
            COALESCE(sum(sales.gross_sales), (0)::numeric) AS gross_sales,
            COALESCE(sum(sales.discounts), (0)::numeric) AS discounts,
            COALESCE(sum(sales.returns), (0)::numeric) AS returns,
            COALESCE(sum(sales.net_sales), (0)::numeric) AS net_sales,
            COALESCE(sum(sales.shipping), (0)::numeric) AS shipping,
            COALESCE(sum(sales.taxes), (0)::numeric) AS taxes,
            COALESCE(sum(sales.duties_and_fees), (0)::numeric) AS duties_and_fees,
            COALESCE(sum(sales.total_sales), (0)::numeric) AS total_sales,
            COALESCE(sum(sales.tips), (0)::numeric) AS tips,
            COALESCE(sum(sales.net_sales) FILTER (WHERE ((days.date_day - (date_trunc(grains.grain, (days.date_day)::timestamp without time zone))::date) <= (figures.as_of_date - (date_trunc(grains.grain, (figures.as_of_date)::timestamp without time zone))::date))), (0)::numeric) AS net_sales_of_first_days,
            max(figures.as_of_date) AS as_of_date
           FROM (((days
             JOIN core.tenant_figures figures USING (tenant_id))
             CROSS JOIN unnest(ARRAY['day'::text, 'week'::text, 'month'::text, 'quarter'::text, 'year'::text]) grains(grain))
             LEFT JOIN core.daily_sales sales USING (tenant_id, date_day))
          GROUP BY days.tenant_id, grains.grain, ((date_trunc(grains.grain, (days.date_day)::timestamp without time zone))::date)
        ), running AS (
         SELECT measured.tenant_id,
            measured.grain,
            measured.period_start,
            measured.orders,
            measured.customers,
            measured.new_customers,
            measured.ordered_sales,
            measured.priced_orders,
            measured.units,
            measured.gross_sales,
            measured.discounts,
            measured.returns,
            measured.net_sales,
            measured.shipping,
            measured.taxes,
            measured.duties_and_fees,
            measured.total_sales,
            measured.tips,
            measured.net_sales_of_first_days,
            measured.as_of_date,
            ((measured.period_start = (date_trunc(measured.grain, (measured.as_of_date)::timestamp without time zone))::date) AND (measured.period_start = (date_trunc(measured.grain, ((measured.as_of_date + 1))::timestamp without time zone))::date)) AS is_partial
           FROM measured
        ), compared AS (
         SELECT running.tenant_id,
            running.grain,
            running.period_start,
            running.orders,
            running.customers,
            running.new_customers,
            running.ordered_sales,
            running.priced_orders,
            running.units,
            running.gross_sales,
            running.discounts,
            running.returns,
            running.net_sales,
            running.shipping,
            running.taxes,
            running.duties_and_fees,
            running.total_sales,
            running.tips,
            running.net_sales_of_first_days,
            running.as_of_date,
            running.is_partial,
            lag(running.net_sales) OVER periods AS net_sales_previous,
                CASE
                    WHEN (running.grain = 'week'::text) THEN lag(running.net_sales, 52) OVER periods
                    ELSE first_value(running.net_sales) OVER (periods RANGE BETWEEN '1 year'::interval PRECEDING AND '1 year'::interval PRECEDING)
                END AS net_sales_last_year,
            lag(running.net_sales_of_first_days) OVER periods AS net_sales_of_first_days_previous,
                CASE
                    WHEN (running.grain = 'week'::text) THEN lag(running.net_sales_of_first_days, 52) OVER periods
                    ELSE first_value(running.net_sales_of_first_days) OVER (periods RANGE BETWEEN '1 year'::interval PRECEDING AND '1 year'::interval PRECEDING)
                END AS net_sales_of_first_days_last_year
           FROM running
          WINDOW periods AS (PARTITION BY running.tenant_id, running.grain ORDER BY running.period_start)
        ), like_with_like AS (
         SELECT compared.tenant_id,
            compared.grain,
            compared.period_start,
            compared.orders,
            compared.customers,
            compared.new_customers,
            compared.ordered_sales,
            compared.priced_orders,
            compared.units,
            compared.gross_sales,
            compared.discounts,
            compared.returns,
            compared.net_sales,
            compared.shipping,
            compared.taxes,
            compared.duties_and_fees,
            compared.total_sales,
            compared.tips,
            compared.net_sales_of_first_days,
            compared.as_of_date,
            compared.is_partial,
            compared.net_sales_previous,
            compared.net_sales_last_year,
            compared.net_sales_of_first_days_previous,
            compared.net_sales_of_first_days_last_year,
                CASE
                    WHEN compared.is_partial THEN compared.net_sales_of_first_days
                    ELSE compared.net_sales
                END AS net_sales_compared,
                CASE
                    WHEN compared.is_partial THEN compared.net_sales_of_first_days_previous
                    ELSE compared.net_sales_previous
                END AS net_sales_previous_compared,
                CASE
                    WHEN compared.is_partial THEN compared.net_sales_of_first_days_last_year
                    ELSE compared.net_sales_last_year
                END AS net_sales_last_year_compared
           FROM compared
        )
 SELECT tenant_id,
    grain,
    period_start,
    orders,
    customers,
    new_customers,
    (customers - new_customers) AS returning_customers,
    (COALESCE(units, (0)::numeric))::bigint AS units,
    (COALESCE(gross_sales, (0)::numeric))::numeric(20,4) AS gross_sales,
    (COALESCE(discounts, (0)::numeric))::numeric(20,4) AS discounts,
    (COALESCE(returns, (0)::numeric))::numeric(20,4) AS returns,
    (COALESCE(net_sales, (0)::numeric))::numeric(20,4) AS net_sales,
    (COALESCE(shipping, (0)::numeric))::numeric(20,4) AS shipping,
    (COALESCE(taxes, (0)::numeric))::numeric(20,4) AS taxes,
    (COALESCE(duties_and_fees, (0)::numeric))::numeric(20,4) AS duties_and_fees,
    (COALESCE(total_sales, (0)::numeric))::numeric(20,4) AS total_sales,
    (COALESCE(tips, (0)::numeric))::numeric(20,4) AS tips,
    ((ordered_sales / NULLIF(priced_orders, (0)::numeric)))::numeric(20,4) AS average_order_value,
    (net_sales_previous)::numeric(20,4) AS net_sales_previous,
        CASE
            WHEN (abs((net_sales_compared - net_sales_previous_compared)) < ('10000000000000'::numeric * net_sales_previous_compared)) THEN (((net_sales_compared - net_sales_previous_compared) / net_sales_previous_compared))::numeric(20,6)
            ELSE NULL::numeric
        END AS net_sales_growth,
    (net_sales_last_year)::numeric(20,4) AS net_sales_last_year,
        CASE
            WHEN (abs((net_sales_compared - net_sales_last_year_compared)) < ('10000000000000'::numeric * net_sales_last_year_compared)) THEN (((net_sales_compared - net_sales_last_year_compared) / net_sales_last_year_compared))::numeric(20,6)
            ELSE NULL::numeric
        END AS net_sales_yoy_growth,
    is_partial,
    (net_sales_previous_compared)::numeric(20,4) AS net_sales_previous_compared,
    (net_sales_last_year_compared)::numeric(20,4) AS net_sales_last_year_compared
   FROM like_with_like;
CREATE VIEW marts.rfm_migrations WITH (security_invoker='true') AS
 WITH steps AS (
         SELECT rfm_history.tenant_id,
            rfm_history.customer_id,
            rfm_history.valid_from,
            lag(rfm_history.rfm_segment) OVER customers_history AS from_segment,
            lag(rfm_history.valid_to) OVER customers_history AS left_on,
            rfm_history.rfm_segment AS to_segment
           FROM marts.rfm_history
          WINDOW customers_history AS (PARTITION BY rfm_history.tenant_id, rfm_history.customer_id ORDER BY rfm_history.valid_from)
        )
 SELECT tenant_id,
    (date_trunc('month'::text, (valid_from)::timestamp without time zone))::date AS month,
    from_segment,
    to_segment,
    count(DISTINCT customer_id) AS customers
   FROM steps
  WHERE ((from_segment <> to_segment) AND (left_on = valid_from))
  GROUP BY tenant_id, ((date_trunc('month'::text, (valid_from)::timestamp without time zone))::date), from_segment, to_segment;
CREATE VIEW marts.rfm_scores WITH (security_invoker='true') AS
 SELECT scores.tenant_id,
    scores.customer_id,
    figures.as_of_date,
    GREATEST((figures.as_of_date - customers.last_order_on), 0) AS recency_days,
    customers.orders_count AS frequency,
    customers.net_sales AS monetary,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,
    concat(scores.recency_score, scores.frequency_score, scores.monetary_score) AS rfm_cell,
    scores.rfm_segment,
    COALESCE(figures.rfm_is_meaningful, false) AS rfm_is_meaningful
   FROM ((core.customer_scores scores
     JOIN core.customers customers USING (tenant_id, customer_id))
     JOIN core.tenant_figures figures USING (tenant_id));
CREATE VIEW marts.rfm_segments WITH (security_invoker='true') AS
 WITH segments AS (
         SELECT unnest(ARRAY['CHAMPIONS'::text, 'LOYAL'::text, 'POTENTIAL_LOYALIST'::text, 'NEW_CUSTOMERS'::text, 'PROMISING'::text, 'NEED_ATTENTION'::text, 'ABOUT_TO_SLEEP'::text, 'AT_RISK'::text, 'CANNOT_LOSE'::text, 'HIBERNATING'::text, 'LOST'::text]) AS rfm_segment
        ), summed AS (
         SELECT scores.tenant_id,
            scores.rfm_segment,
            count(*) AS customers,
            sum(customers.orders_count) AS orders,
            sum(customers.net_sales) AS net_sales,
            sum(customers.ordered_sales) AS ordered_sales,
            sum(customers.priced_orders) AS priced_orders,
            avg(GREATEST((figures.as_of_date - customers.last_order_on), 0)) AS average_recency_days
           FROM ((core.customer_scores scores
             JOIN core.customers customers USING (tenant_id, customer_id))
             JOIN core.tenant_figures figures USING (tenant_id))
          GROUP BY scores.tenant_id, scores.rfm_segment
        )
 SELECT tenants.tenant_id,
    segments.rfm_segment,
    COALESCE(summed.customers, (0)::bigint) AS customers,
    (((COALESCE(summed.customers, (0)::bigint))::numeric / NULLIF(sum(summed.customers) OVER tenant, (0)::numeric)))::numeric(20,6) AS share_of_customers,
    (COALESCE(summed.orders, (0)::numeric))::bigint AS orders,
    (COALESCE(summed.net_sales, (0)::numeric))::numeric(20,4) AS net_sales,
        CASE
            WHEN (abs(COALESCE(summed.net_sales, (0)::numeric)) < ('10000000000000'::numeric * sum(summed.net_sales) OVER tenant)) THEN ((COALESCE(summed.net_sales, (0)::numeric) / sum(summed.net_sales) OVER tenant))::numeric(20,6)
            ELSE NULL::numeric
        END AS share_of_net_sales,
    ((summed.ordered_sales / NULLIF(summed.priced_orders, (0)::numeric)))::numeric(20,4) AS average_order_value,
    (summed.average_recency_days)::numeric(20,4) AS average_recency_days,
    COALESCE(tenants.rfm_is_meaningful, false) AS rfm_is_meaningful
   FROM ((core.tenant_figures tenants
     CROSS JOIN segments)
     LEFT JOIN summed ON (((summed.tenant_id = tenants.tenant_id) AND (summed.rfm_segment = segments.rfm_segment))))
  WINDOW tenant AS (PARTITION BY tenants.tenant_id);
CREATE VIEW marts.tenant_overview WITH (security_invoker='true') AS
 WITH customers AS (
         SELECT customers_1.tenant_id,
            count(*) AS customers,
            count(*) FILTER (WHERE ((customers_1.net_sales > (0)::numeric) AND (customers_1.net_sales >= figures_1.high_value_at_least))) AS high_value_customers,
            count(*) FILTER (WHERE ((figures_1.as_of_date - customers_1.last_order_on) > 90)) AS churn_risk_customers
           FROM (core.customers customers_1
             JOIN core.tenant_figures figures_1 USING (tenant_id))
          WHERE (customers_1.orders_count > 0)
          GROUP BY customers_1.tenant_id
        ), sales AS (
         SELECT daily_sales.tenant_id,
            sum(daily_sales.orders) AS orders,
            sum(daily_sales.net_sales) AS net_sales,
            sum(daily_sales.ordered_sales) AS ordered_sales,
            sum(daily_sales.priced_orders) AS priced_orders,
            COALESCE(sum(daily_sales.orders) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 0) AND ((figures_1.as_of_date - daily_sales.date_day) <= 29))), (0)::numeric) AS orders_last_30d,
            COALESCE(sum(daily_sales.net_sales) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 0) AND ((figures_1.as_of_date - daily_sales.date_day) <= 29))), (0)::numeric) AS net_sales_last_30d,
            COALESCE(sum(daily_sales.ordered_sales) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 0) AND ((figures_1.as_of_date - daily_sales.date_day) <= 29))), (0)::numeric) AS ordered_sales_last_30d,
            COALESCE(sum(daily_sales.priced_orders) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 0) AND ((figures_1.as_of_date - daily_sales.date_day) <= 29))), (0)::numeric) AS priced_orders_last_30d,
            COALESCE(sum(daily_sales.orders) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 30) AND ((figures_1.as_of_date - daily_sales.date_day) <= 59))), (0)::numeric) AS orders_previous_30d,
            COALESCE(sum(daily_sales.net_sales) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 30) AND ((figures_1.as_of_date - daily_sales.date_day) <= 59))), (0)::numeric) AS net_sales_previous_30d,
            COALESCE(sum(daily_sales.ordered_sales) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 30) AND ((figures_1.as_of_date - daily_sales.date_day) <= 59))), (0)::numeric) AS ordered_sales_previous_30d,
            COALESCE(sum(daily_sales.priced_orders) FILTER (WHERE (((figures_1.as_of_date - daily_sales.date_day) >= 30) AND ((figures_1.as_of_date - daily_sales.date_day) <= 59))), (0)::numeric) AS priced_orders_previous_30d
           FROM (core.daily_sales
             JOIN core.tenant_figures figures_1 USING (tenant_id))
          GROUP BY daily_sales.tenant_id
        ), recent AS (
         SELECT fct_orders.tenant_id,
            count(DISTINCT fct_orders.customer_id) FILTER (WHERE (fct_orders.ordered_on > (figures_1.as_of_date - 30))) AS customers_last_30d,
            count(DISTINCT fct_orders.customer_id) FILTER (WHERE (fct_orders.ordered_on <= (figures_1.as_of_date - 30))) AS customers_previous_30d
           FROM (marts.fct_orders
             JOIN core.tenant_figures figures_1 USING (tenant_id))
          WHERE (fct_orders.is_counted AND (fct_orders.ordered_on > (figures_1.as_of_date - 60)) AND (fct_orders.ordered_on <= figures_1.as_of_date))
          GROUP BY fct_orders.tenant_id
        )
 SELECT figures.tenant_id,
    figures.as_of_date,
    COALESCE(customers.customers, (0)::bigint) AS customers,
    (COALESCE(sales.orders, (0)::numeric))::bigint AS orders,
    (COALESCE(sales.net_sales, (0)::numeric))::numeric(20,4) AS net_sales,
    ((sales.ordered_sales / NULLIF(sales.priced_orders, (0)::numeric)))::numeric(20,4) AS average_order_value,
    COALESCE(customers.high_value_customers, (0)::bigint) AS high_value_customers,
    COALESCE(customers.churn_risk_customers, (0)::bigint) AS churn_risk_customers,
    COALESCE(recent.customers_last_30d, (0)::bigint) AS customers_last_30d,
    (COALESCE(sales.orders_last_30d, (0)::numeric))::bigint AS orders_last_30d,
    (COALESCE(sales.net_sales_last_30d, (0)::numeric))::numeric(20,4) AS net_sales_last_30d,
    ((sales.ordered_sales_last_30d / NULLIF(sales.priced_orders_last_30d, (0)::numeric)))::numeric(20,4) AS average_order_value_last_30d,
    COALESCE(recent.customers_previous_30d, (0)::bigint) AS customers_previous_30d,
    (COALESCE(sales.orders_previous_30d, (0)::numeric))::bigint AS orders_previous_30d,
    (COALESCE(sales.net_sales_previous_30d, (0)::numeric))::numeric(20,4) AS net_sales_previous_30d,
    ((sales.ordered_sales_previous_30d / NULLIF(sales.priced_orders_previous_30d, (0)::numeric)))::numeric(20,4) AS average_order_value_previous_30d,
    tenants.last_loaded_at,
    COALESCE(figures.rfm_is_meaningful, false) AS rfm_is_meaningful
   FROM ((((core.tenant_figures figures
     JOIN marts.dim_tenants tenants USING (tenant_id))
     LEFT JOIN customers USING (tenant_id))
     LEFT JOIN sales USING (tenant_id))
     LEFT JOIN recent USING (tenant_id));
CREATE VIEW marts.top_customers WITH (security_invoker='true') AS
 WITH ranked AS (
         SELECT customers.tenant_id,
            row_number() OVER (PARTITION BY customers.tenant_id ORDER BY customers.net_sales DESC, customers.customer_id) AS rank,
            customers.customer_id,
            customers.email,
            customers.orders_count,
            customers.net_sales,
            customers.last_order_on
           FROM core.customers
          WHERE (customers.orders_count > 0)
        )
 SELECT tenant_id,
    rank,
    customer_id,
    email,
    orders_count,
    net_sales,
    last_order_on
   FROM ranked
  WHERE (rank <= 100);
CREATE VIEW marts.top_products WITH (security_invoker='true') AS
 WITH variants AS (
         SELECT product_months.tenant_id,
            product_months.product_id,
            product_months.variant_id,
            sum(product_months.units) AS units,
            sum(product_months.orders) AS orders,
            sum(product_months.gross_sales) AS gross_sales,
            sum(product_months.net_sales) AS net_sales
           FROM core.product_months
          GROUP BY product_months.tenant_id, product_months.product_id, product_months.variant_id
        ), products AS (
         SELECT variants_1.tenant_id,
            variants_1.product_id,
            (array_agg(variants_1.variant_id ORDER BY variants_1.units DESC, variants_1.net_sales DESC, variants_1.variant_id))[1] AS best_variant_id,
            (sum(variants_1.units))::bigint AS units,
            (sum(variants_1.orders))::bigint AS orders,
            (sum(variants_1.gross_sales))::numeric(20,4) AS gross_sales,
            (sum(variants_1.net_sales))::numeric(20,4) AS net_sales
           FROM variants variants_1
          GROUP BY variants_1.tenant_id, variants_1.product_id
        ), ranked AS (
         SELECT products_1.tenant_id,
            products_1.product_id,
            products_1.best_variant_id,
            products_1.units,
            products_1.orders,
            products_1.gross_sales,
            products_1.net_sales,
            row_number() OVER (PARTITION BY products_1.tenant_id ORDER BY products_1.net_sales DESC, products_1.product_id) AS rank
           FROM products products_1
        )
 SELECT ranked.tenant_id,
    ranked.rank,
    ranked.product_id,
    variants.sku,
    products.title,
    ranked.units,
    ranked.orders,
    ranked.gross_sales,
    ranked.net_sales
   FROM ((ranked
     LEFT JOIN marts.dim_products products ON (((products.tenant_id = ranked.tenant_id) AND (products.product_id = ranked.product_id))))
     LEFT JOIN marts.dim_product_variants variants ON (((variants.tenant_id = ranked.tenant_id) AND (variants.variant_id = ranked.best_variant_id))))
  WHERE (ranked.rank <= 100);
CREATE TABLE reference.rfm_cells (
    recency_score integer,
    frequency_score integer,
    monetary_score integer,
    rfm_segment text
);
CREATE VIEW staging.stg_abandoned_checkout_line_items AS
 SELECT tenant_id,
    id AS checkout_line_id,
    checkout_id,
    product_id,
    variant_id,
    sku,
    title,
    quantity,
    (total_price)::numeric(20,4) AS total_price
   FROM raw.abandoned_checkout_line_items;
CREATE VIEW staging.stg_abandoned_checkouts AS
 SELECT tenant_id,
    id AS checkout_id,
    name AS checkout_name,
    customer_id,
    token AS checkout_token,
    discount_codes,
    (total_price)::numeric(20,4) AS total_price,
    created_at,
    completed_at,
    updated_at,
    deleted_at,
    loaded_at,
    (payload #>> '{totalPriceSet,shopMoney,currencyCode}'::text[]) AS currency
   FROM raw.abandoned_checkouts;
CREATE VIEW staging.stg_carts AS
 SELECT tenant_id,
    id AS cart_number,
    cart_id,
    created_at,
    (payload -> 'line_items'::text) AS lines,
    updated_at,
    deleted_at,
    loaded_at
   FROM raw.carts;
CREATE VIEW staging.stg_customers AS
 SELECT tenant_id,
    id AS customer_id,
    email,
    phone,
    first_name,
    last_name,
    country_code,
    locale,
    state,
    tags,
    number_of_orders,
    rfm_group AS shopify_rfm_group,
    created_at,
    updated_at,
    deleted_at
   FROM raw.customers;
CREATE VIEW staging.stg_fulfillments AS
 SELECT tenant_id,
    id AS fulfillment_id,
    order_id,
    status,
    display_status,
    total_quantity,
    created_at,
    updated_at,
    delivered_at
   FROM raw.fulfillments;
CREATE VIEW staging.stg_last_changes AS
 SELECT tenant_id,
    object,
    changed_at
   FROM ops.last_changes;
CREATE VIEW staging.stg_order_transactions AS
 SELECT tenant_id,
    id AS transaction_id,
    order_id,
    parent_transaction_id,
    kind,
    status,
    gateway,
    is_test,
    (amount)::numeric(20,4) AS amount,
    created_at,
    processed_at
   FROM raw.order_transactions;
CREATE VIEW staging.stg_product_variants AS
 SELECT tenant_id,
    id AS variant_id,
    product_id,
    title,
    sku,
    barcode,
    "position",
    (price)::numeric(20,4) AS price,
    (compare_at_price)::numeric(20,4) AS compare_at_price,
    created_at,
    updated_at
   FROM raw.product_variants;
CREATE VIEW staging.stg_products AS
 SELECT tenant_id,
    id AS product_id,
    title,
    handle,
    vendor,
    product_type,
    status,
    tags,
    created_at,
    published_at,
    updated_at,
    deleted_at
   FROM raw.products;
CREATE VIEW staging.stg_refunds AS
 SELECT tenant_id,
    id AS refund_id,
    order_id,
    created_at,
    processed_at,
    (total_refunded)::numeric(20,4) AS total_refunded
   FROM raw.refunds;
CREATE VIEW staging.stg_shops AS
 SELECT tenant_id,
    id AS shop_id,
    name AS shop_name,
    myshopify_domain,
    currency,
    iana_timezone,
    plan,
    access_scopes,
    created_at,
    updated_at
   FROM raw.shops;
CREATE VIEW staging.stg_sync_state AS
 SELECT tenant_id,
    stream,
    cursor_at,
    history_loaded_at,
    history_since,
    synced_at
   FROM ops.sync_state;
ALTER TABLE ONLY core.carts
    ADD CONSTRAINT carts_pkey PRIMARY KEY (tenant_id, cart_number);
ALTER TABLE ONLY core.checkouts
    ADD CONSTRAINT checkouts_pkey PRIMARY KEY (tenant_id, checkout_id);
ALTER TABLE ONLY core.customer_months
    ADD CONSTRAINT customer_months_pkey PRIMARY KEY (tenant_id, customer_id, period_number);
ALTER TABLE ONLY core.customer_scores
    ADD CONSTRAINT customer_scores_pkey PRIMARY KEY (tenant_id, customer_id);
ALTER TABLE ONLY core.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (tenant_id, customer_id);
ALTER TABLE ONLY core.daily_sales
    ADD CONSTRAINT daily_sales_pkey PRIMARY KEY (tenant_id, date_day);
ALTER TABLE ONLY core.product_months
    ADD CONSTRAINT product_months_pkey PRIMARY KEY (tenant_id, product_id, variant_id, month);
ALTER TABLE ONLY core.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (tenant_id, refund_id);
ALTER TABLE ONLY core.tenant_figures
    ADD CONSTRAINT tenant_figures_pkey PRIMARY KEY (tenant_id);
ALTER TABLE ONLY marts.dim_product_variants
    ADD CONSTRAINT dim_product_variants_pkey PRIMARY KEY (tenant_id, variant_id);
ALTER TABLE ONLY marts.dim_products
    ADD CONSTRAINT dim_products_pkey PRIMARY KEY (tenant_id, product_id);
ALTER TABLE ONLY marts.dim_tenants
    ADD CONSTRAINT dim_tenants_pkey PRIMARY KEY (tenant_id);
ALTER TABLE ONLY marts.fct_order_lines
    ADD CONSTRAINT fct_order_lines_pkey PRIMARY KEY (tenant_id, order_line_id);
ALTER TABLE ONLY marts.fct_orders
    ADD CONSTRAINT fct_orders_pkey PRIMARY KEY (tenant_id, order_id);
ALTER TABLE ONLY marts.fct_sales
    ADD CONSTRAINT fct_sales_pkey PRIMARY KEY (tenant_id, sale_id);
ALTER TABLE ONLY marts.rfm_history
    ADD CONSTRAINT rfm_history_pkey PRIMARY KEY (tenant_id, customer_id, valid_from);
CREATE INDEX "2ba9a0a1a5d2998871b9a0fe45124854" ON core.carts USING btree (tenant_id, updated_at);
CREATE INDEX "6dece54eae7c9c1a6e9878c65ac8eaac" ON core.customer_scores USING btree (tenant_id, rfm_segment);
CREATE INDEX "839c97b44c83a891a3aac63b3753b41d" ON core.checkouts USING btree (tenant_id, abandoned_on);
CREATE INDEX "9475b7343e2e9dd09155b5fb4d0f46c3" ON core.refunds USING btree (tenant_id, order_id);
CREATE INDEX carts_in_other_currency ON core.carts USING btree (tenant_id, updated_at) WHERE is_in_other_currency;
CREATE INDEX checkouts_in_other_currency ON core.checkouts USING btree (tenant_id, currency, abandoned_on) WHERE is_in_other_currency;
CREATE INDEX f10fbba1f42422cd4bdbf4fef9ac6ff5 ON core.checkouts USING btree (tenant_id, customer_id);
CREATE INDEX refunds_redated ON core.refunds USING btree (tenant_id, order_id) WHERE is_redated;
CREATE INDEX "0337dedfc8f50e6212a89ffcd6606dbf" ON marts.dim_product_variants USING btree (tenant_id, product_id);
CREATE INDEX "03d043b588fee1eeb0864dc26c489094" ON marts.fct_orders USING btree (tenant_id, cart_token);
CREATE INDEX "2b9481fd91c31b1798a49a1911722954" ON marts.fct_order_lines USING btree (tenant_id, product_id);
CREATE INDEX "4976d83ecdddc8d09811a6637eca010a" ON marts.fct_sales USING btree (tenant_id, happened_on);
CREATE INDEX "64c17d24b8dfc6cc5718ca3bc3d31494" ON marts.fct_orders USING btree (tenant_id, checkout_token);
CREATE INDEX "6bb5aceb86e9aaeb3a0a43ade5327565" ON marts.fct_orders USING btree (tenant_id, ordered_on);
CREATE INDEX "6eab5251da3d3a9eef142fd033a48ec1" ON marts.fct_order_lines USING btree (tenant_id, ordered_on);
CREATE INDEX "79e755f2b5c717c868f510af0d3dabc1" ON marts.fct_orders USING btree (tenant_id, customer_id);
CREATE INDEX "9196c31d56c65d5de6a27498332bd8d7" ON marts.fct_sales USING btree (tenant_id, order_id);
CREATE INDEX d4b5b39b4bea582bc5b47d4e20e0603f ON marts.fct_sales USING btree (tenant_id, product_id, happened_month);
CREATE INDEX d64e9e3bcc9708cbf9cc5e35a40c0410 ON marts.fct_sales USING btree (tenant_id, customer_id);
CREATE INDEX df25f6d9d40266fe4cfba1946064aabe ON marts.fct_order_lines USING btree (tenant_id, order_id);
CREATE INDEX fct_orders_in_other_currency ON marts.fct_orders USING btree (tenant_id, currency, ordered_on) WHERE is_in_other_currency;
CREATE INDEX fct_orders_redated ON marts.fct_orders USING btree (tenant_id, order_id) WHERE is_redated;
CREATE INDEX fct_sales_unknown ON marts.fct_sales USING btree (tenant_id) WHERE (NOT is_known);
