"""Which orders a token cannot see for their age, inferred from what is known of orders that Shopify did not show.

Without `read_all_orders` an order of more than sixty days ago is answered like one that there never was, or that is too
new to be found. Some deliveries say when their order was created; for others there is that the numbers of orders grow
with time.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from xeno_pipeline.database.connection import Connection


def too_old(connection: Connection, tenant_id: str, event_ids: Collection[int], visible_since: datetime) -> set[int]:
    """Of events whose orders Shopify did not show, those whose orders were created before the token can see them.

    Args:
        event_ids: what one of them says of an order counts for all that name it.
        visible_since: since when orders are visible to the token.
    """
    rows = connection.execute(
        """
        with absent as (
            select id, split_part(read_gid, '/', 5)::bigint as order_id,
                min(object_created_at) over (partition by read_gid) as created_at
            from ops.webhook_inbox where tenant_id = %(tenant_id)s and id = any(%(event_ids)s)
        ),

        -- Whatever has a lower number than this order is older than it: so it was created before the window begins, or
        -- else before the history was read, which it would be in had it been visible then.
        newest as (
            select max(orders.id) as order_id
            from raw.orders
            join ops.sync_state state on state.tenant_id = orders.tenant_id and state.stream = 'orders'
            where orders.tenant_id = %(tenant_id)s
            and orders.created_at < greatest(%(visible_since)s, state.history_loaded_at - interval '1 day')
        )

        select absent.id
        from absent
        cross join newest
        left join raw.orders known on known.tenant_id = %(tenant_id)s and known.id = absent.order_id
        where coalesce(absent.created_at, known.created_at) < %(visible_since)s
        or (absent.created_at is null and known.id is null and absent.order_id < newest.order_id)
        """,
        {"tenant_id": tenant_id, "event_ids": list(event_ids), "visible_since": visible_since},
    )
    return {row[0] for row in rows}
