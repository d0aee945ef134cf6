"""Who is in a segment: of any compiled query, at once; of saved segments, as of the last transform."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import orjson

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.errors import UsageError
from xeno_pipeline.segments.compile import CompiledQuery

_MATCHING = """
    from dim_customers c
    cross join (select %(bound)s::jsonb as bound, (now() at time zone iana_timezone)::date as today from dim_tenants
        where tenant_id = %(tenant_id)s) q
    where c.tenant_id = %(tenant_id)s and
"""
"""What precedes a condition. Names of marts have no schema: the search path has `marts`, or `serving` before it."""


class MembersWithheldError(UsageError):
    """Who is in a segment is told to nobody who may not see people, because its query asks about them."""


@dataclass(frozen=True)
class Members:
    """The customers that fit a query now.

    Args:
        net_sales: their lifetime net sales, in the shop's currency.
        all_customers: how many customers the tenant has.
        all_net_sales: the net sales of all of these.
    """

    customers: int
    net_sales: Decimal
    all_customers: int
    all_net_sales: Decimal


def count_members(connection: Connection, tenant_id: str, query: CompiledQuery) -> Members:
    """Count the customers that fit a query, as the marts and the day are now.

    Args:
        connection: its search path has the marts.
    """
    row = connection.execute(
        f"""
        select matching.customers, matching.net_sales, every.customers, every.net_sales
        from (
            select count(*) as customers, coalesce(sum(c.net_sales), 0) as net_sales {_MATCHING} {query.condition}
        ) matching
        cross join (
            select count(*) as customers, coalesce(sum(net_sales), 0) as net_sales
            from dim_customers
            where tenant_id = %(tenant_id)s
        ) every
        """,
        bind_matching(tenant_id, query),
    ).fetchone()
    assert row is not None
    return Members(*row)


def check_members_shown(connection: Connection, tenant_id: str, segment_id: int) -> None:
    """See that the members of a saved segment are not withheld, for then there would seem to be none.

    Args:
        connection: of the login xeno_serving, unlocked.

    Raises:
        MembersWithheldError: they are: a policy of the marts (migration 0029) hides them from the session.
    """
    query = """
        select name from ops.segments
        where tenant_id = %s and segment_id = %s and is_personal and tenant_id <> all(ops.served_tenants('people'))
        """
    row = connection.execute(query, [tenant_id, segment_id]).fetchone()
    if row is not None:
        raise MembersWithheldError(
            f"{tenant_id}: the segment {row[0]} asks for what only who may see people may know, and so does who is in "
            "it: that takes the scope `people`."
        )


def select_matching(query: CompiledQuery) -> str:
    """A query for the ids of the customers that fit, as the marts and the day are now; see `bind_matching`."""
    return f"select c.customer_id {_MATCHING} {query.condition}"


def bind_matching(tenant_id: str, query: CompiledQuery) -> dict[str, str]:
    """What is bound to the placeholders of such a query."""
    return {"tenant_id": tenant_id, "bound": orjson.dumps(query.bound).decode()}
