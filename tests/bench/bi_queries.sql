-- What BI tools and the dashboard ask: each query is named by the line above it, and none says which tenant it is about.

-- orders since an instant
select count(*), sum(total_sales) from marts.fct_orders where ordered_at > now() - interval '7 days';

-- orders since a day that is an instant
select count(*), sum(total_sales) from marts.fct_orders where ordered_on >= now() - interval '7 days';

-- orders since a day
select count(*), sum(total_sales) from marts.fct_orders where ordered_on >= current_date - 7;

-- orders since a day that is a timestamp
select count(*), sum(total_sales) from marts.fct_orders where ordered_on >= current_date - interval '7 days';

-- orders between days as a tool writes them
select count(*), sum(net_sales) from marts.fct_orders
where ordered_on between timestamp '2026-01-01 00:00:00' and timestamp '2026-01-07 23:59:59';

-- orders of today
select order_name, total_sales from marts.fct_orders where ordered_on = current_date order by ordered_at desc;

-- orders of this month by day
select ordered_on, count(*), sum(net_sales) from marts.fct_orders
where ordered_on >= date_trunc('month', now()) group by ordered_on order by ordered_on;

-- orders by month of a year
select date_trunc('month', ordered_at), count(*), sum(net_sales) from marts.fct_orders
where ordered_at >= date_trunc('year', now()) - interval '1 year' group by 1 order by 1;

-- orders by country in a quarter
select country_code, count(*) from marts.fct_orders
where ordered_on >= date_trunc('quarter', current_date) and country_code in ('DE', 'AT', 'CH') group by country_code;

-- orders by part of their name
select order_name, ordered_on, total_sales from marts.fct_orders where order_name like '#123%' limit 50;

-- orders of an amount
select order_name, total_sales from marts.fct_orders
where total_sales > 500 and ordered_on >= now() - interval '30 days' order by total_sales desc limit 50;

-- orders of customers by their address
select orders.order_name, orders.ordered_on, orders.total_sales
from marts.fct_orders orders join marts.dim_customers customers using (tenant_id, customer_id)
where customers.email ilike 'a%' and orders.ordered_on >= now() - interval '7 days';

-- the latest orders
select order_name, ordered_on, total_sales from marts.fct_orders order by ordered_on desc limit 50;

-- one order
select * from marts.fct_orders where order_id = (select max(order_id) from marts.fct_orders);

-- lines since an instant
select sku, sum(quantity), sum(gross_sales) from marts.fct_order_lines
where ordered_on > now() - interval '7 days' group by sku order by 3 desc limit 20;

-- lines of products of a vendor
select products.vendor, sum(lines.quantity) from marts.fct_order_lines lines
join marts.dim_products products using (tenant_id, product_id)
where lines.ordered_on >= now() - interval '1 month' group by products.vendor;

-- sales since an instant by reason
select reason, sum(net_sales), sum(total_sales) from marts.fct_sales
where happened_at > now() - interval '7 days' group by reason;

-- sales since a day that is an instant by day
select happened_on, sum(net_sales) from marts.fct_sales
where happened_on > now() - interval '7 days' group by happened_on order by happened_on;

-- returns of a month
select order_id, sum(returns) from marts.fct_sales
where happened_on >= date_trunc('month', current_date - interval '1 month')
and happened_on < date_trunc('month', current_date) and returns < 0 group by order_id order by 2 limit 50;

-- days of a quarter
select date_day, net_sales, net_sales_7d_avg from marts.revenue_daily
where date_day >= now() - interval '90 days' order by date_day;

-- months with last year's
select period_start, net_sales, net_sales_last_year, net_sales_yoy_growth from marts.revenue_trends
where grain = 'month' and period_start >= date_trunc('month', now()) - interval '12 months' order by period_start;

-- weeks of this year
select period_start, orders, net_sales from marts.revenue_trends
where grain = 'week' and extract(year from period_start) = extract(year from now()) order by period_start;

-- retention of the cohorts of a year
select cohort_month, period_number, retention_rate from marts.cohort_retention
where cohort_month >= date_trunc('month', now()) - interval '12 months' order by 1, 2;

-- products of a month
select product_id, net_sales, rank_by_net_sales from marts.product_performance
where month = date_trunc('month', current_date) and rank_by_net_sales <= 20 order by rank_by_net_sales;

-- the best customers
select customer_id, net_sales, orders_count from marts.dim_customers order by net_sales desc nulls last limit 20;

-- customers at risk by value
select customer_id, net_sales from marts.dim_customers
where churn_segment = 'at_risk' and net_sales > 1000 order by net_sales desc limit 50;

-- customers who came in a month
select count(*), avg(net_sales) from marts.dim_customers
where first_order_on >= date_trunc('month', now()) - interval '1 month';

-- customers by segment
select rfm_segment, count(*), sum(monetary) from marts.rfm_scores group by rfm_segment order by 3 desc;

-- one customer's timeline
select occurred_at, event_type, title, amount from marts.customer_timeline
where customer_id = (select max(customer_id) from marts.top_customers) order by occurred_at desc limit 50;

-- abandoned checkouts of a month
select count(*), sum(value), count(*) filter (where is_recovered) from marts.abandoned_checkouts
where abandoned_at >= now() - interval '30 days';

-- the order that each checkout of a week became
select checkout_id, value, recovered_order_id from marts.abandoned_checkouts
where abandoned_on >= current_date - 7 order by abandoned_at desc;

-- carts that were left since yesterday
select cart_id, value, abandoned_at from marts.abandoned_carts
where updated_at >= now() - interval '1 day' and is_abandoned;
