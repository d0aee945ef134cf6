"""Renamed stores: a tenant keeps its id when its store moves to another myshopify.com domain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import MovedError, StoreUnavailableError
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.shop_domains import MOST_REDIRECTS, store_url
from xeno_pipeline.shopify.tokens import TokenSource
from xeno_pipeline.shopify.usage import Usage
from xeno_pipeline.tenants import audit, registry
from xeno_pipeline.tenants.registry import Tenant

log = logging.getLogger(__name__)


class OtherShopError(XenoError):
    """The shop at an address is not the expected one."""


@dataclass(frozen=True)
class Place:
    """Where a shop was found.

    Args:
        api_url: the root of its Admin API.
        host: the domain of that URL.
        shop_domain: the domain that the shop itself reports.
    """

    api_url: str
    host: str
    shop_domain: str


@dataclass(frozen=True)
class Follower:
    """Follows a renamed store to the same shop's new domain, and records the move (`shopify.client.Mover`).

    The token is sent to hosts of myshopify.com only, and nothing is loaded from there before the shop's id is verified.

    Args:
        urls: the template of stores' URLs, see `store_url`.
        on_close: called with the API points that were used.
    """

    database: Database
    tenant: Tenant
    token: TokenSource | str
    urls: str
    retry_policy: RetryPolicy | None = None
    on_close: Callable[[Usage], None] = lambda _: None

    def follow(self, domain: str) -> str:
        """Move the tenant to the domain that its store redirects to; returns the new root of the API.

        Raises:
            OtherShopError: another shop is there; nothing was changed.
            StoreUnavailableError: the redirects do not end.
            ShopifyError: the shop cannot be queried there.
        """
        place = self.find(domain)
        reason = f"its former address leads to {place.host}, where the same shop responds"
        with self.database.connect() as connection:
            if relocate(connection, self.tenant, place, reason):
                log.warning("%s: its store was renamed to %s.", self.tenant.tenant_id, place.host)
        return place.api_url

    def find(self, domain: str) -> Place:
        """Find the tenant's shop from a domain that it redirects to, without recording it. Raises as `follow` does."""
        urls = [self.tenant.api_url]
        for _ in range(MOST_REDIRECTS):
            url = store_url(self.urls, domain)
            if url in urls:
                break
            urls.append(url)
            client = ShopifyClient(
                tenant=self.tenant.tenant_id,
                api_url=url,
                token=self.token,
                retry_policy=self.retry_policy,
                on_close=self.on_close,
            )
            try:
                shop = client.execute(operation("Shop")).data["shop"]
            except MovedError as moved:
                domain = moved.domain
                continue
            finally:
                client.close()
            if shop["id"] != self.tenant.shop_gid:
                raise OtherShopError(
                    f"{self.tenant.tenant_id}: its address redirects to {domain}, where another shop responds "
                    f"({shop['id']}, {shop['myshopifyDomain']}) than the registered one "
                    f"({self.tenant.shop_gid}); nothing was changed. Set the store's address with "
                    f"`xeno tenant set-domain {self.tenant.tenant_id} DOMAIN`."
                )
            return Place(url, domain, shop["myshopifyDomain"])
        raise StoreUnavailableError(
            self.tenant.tenant_id,
            "Shop",
            f"was redirected in a circle, or too often, the last time to {domain}; nothing was changed. Set the "
            f"store's address with `xeno tenant set-domain {self.tenant.tenant_id} DOMAIN`.",
        )


def relocate(connection: Connection, tenant: Tenant, place: Place, reason: str) -> bool:
    """Change where a tenant's store is, in the caller's transaction; its former domains stay registered.

    Args:
        connection: not in autocommit mode.
        reason: for the audit log.

    Returns:
        Whether anything changed.

    Raises:
        UnknownTenantError: the tenant was removed.
    """
    known = registry.get(connection, tenant.tenant_id, for_update=True)
    if known.shop_gid != tenant.shop_gid or (known.api_url, known.shop_domain) == (place.api_url, place.shop_domain):
        return False
    registry.move(connection, known.tenant_id, place.api_url)
    registry.rename(connection, known.tenant_id, place.shop_domain)
    registry.add_domain(connection, known.tenant_id, place.host)
    audit.record(connection, known.tenant_id, f"moved from {known.shop_domain} to {place.host}", reason)
    return True
