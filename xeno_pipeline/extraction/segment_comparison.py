"""Comparing segments with Shopify: of those made of Shopify's attributes only, Shopify counts the members too."""

from __future__ import annotations

import logging
from contextlib import closing

from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import QueryRejectedError
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)

_COMPARABLE = """
    select segment_id, query
    from ops.segments
    where tenant_id = %s and removed_at is null and is_shopifys and problem is null
    order by segment_id
    """

_COMPARED = """
    update ops.segments
    set members_at_shopify = %(at_shopify)s,
        compared_at = now(),
        members_in_marts = (
            select count(*) from marts.segment_history history
            where history.tenant_id = segments.tenant_id and history.segment_id = segments.segment_id
            and valid_to is null
        )
    where (tenant_id, segment_id) = (%(tenant)s, %(segment)s) and query = %(query)s
    """


def compare_segments(syncer: Syncer, tenant: Tenant) -> None:
    """Ask Shopify how many members a tenant's segments have, and save the counts beside those of the marts.

    Raises:
        ShopifyError: Shopify could not be asked. A query that it rejects is no failure: it has no count.
    """
    with syncer.database.connect() as connection:
        comparable = connection.execute(_COMPARABLE, [tenant.tenant_id]).fetchall()
    if not comparable:
        return
    with closing(syncer.client_of(tenant)) as client:
        for segment_id, query in comparable:
            at_shopify = _count(client, tenant, query)
            values = {"tenant": tenant.tenant_id, "segment": segment_id, "query": query, "at_shopify": at_shopify}
            with syncer.database.connect() as connection:
                connection.execute(_COMPARED, values)


def _count(client: ShopifyClient, tenant: Tenant, query: str) -> int | None:
    variables = {"query": query, "timezone": tenant.iana_timezone}
    try:
        data = client.execute(operation("SegmentMembersCount"), variables).data
    except QueryRejectedError as error:
        log.debug("%s: Shopify counts no members of a segment. %s", tenant.tenant_id, error)
        return None
    count: int = data["customerSegmentMembers"]["totalCount"]
    return count
