-- What is asked of marts that are views over windows or whole tables: each with a filter, as a chart or a page has one.

-- revenue_trends
select period_start, net_sales, net_sales_growth from marts.revenue_trends
where grain = 'day' and period_start >= current_date - 90 order by period_start;

-- revenue_daily
select date_day, net_sales, net_sales_28d_avg from marts.revenue_daily
where date_day >= current_date - 90 order by date_day;

-- cohort_retention
select period_number, retention_rate, ltv from marts.cohort_retention
where cohort_month = date_trunc('month', now()) - interval '12 months' order by period_number;

-- cohort_ltv
select customers, average_ltv, p90_ltv from marts.cohort_ltv
where cohort_month = date_trunc('month', now()) - interval '12 months';

-- product_performance
select month, units, net_sales, rank_by_net_sales from marts.product_performance
where product_id = (select max(product_id) from marts.dim_products) order by month;

-- top_products
select rank, title, net_sales from marts.top_products where rank <= 10 order by rank;

-- top_customers
select rank, email, net_sales from marts.top_customers where rank <= 10 order by rank;

-- rfm_segments
select customers, net_sales, share_of_net_sales from marts.rfm_segments where rfm_segment = 'CHAMPIONS';

-- rfm_migrations
select from_segment, to_segment, customers from marts.rfm_migrations
where month = date_trunc('month', current_date);

-- checkout_recovery_daily
select date_day, checkouts, recovery_rate from marts.checkout_recovery_daily
where date_day >= now() - interval '90 days' order by date_day;

-- customer_timeline
select occurred_at, event_type, title, amount from marts.customer_timeline
where customer_id = (select min(customer_id) from marts.top_customers) order by occurred_at desc limit 50;

-- tenant_overview
select customers, net_sales, net_sales_last_30d, net_sales_previous_30d from marts.tenant_overview;
