select
    tenant_id,
    abandoned_on as date_day,
    count(*) as checkouts,
    coalesce(sum(value), 0)::numeric(20, 4) as value,
    count(*) filter (where is_recovered) as recovered,
    coalesce(sum(value) filter (where is_recovered), 0)::numeric(
        20, 4
    ) as recovered_value,
    (count(*) filter (where is_recovered) / count(*)::numeric)::numeric(
        20, 6
    ) as recovery_rate
from {{ ref("int_checkouts") }}
group by tenant_id, abandoned_on
