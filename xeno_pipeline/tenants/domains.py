"""Where a tenant's store is, and the domains that it is known by: a store may be renamed, its tenant stays the same."""

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
    """What answers is another shop than the one that was meant."""


@dataclass(frozen=True)
class Place:
    """Where a shop was found.

    Args:
        api_url: the root of its Admin API.
        host: the domain that leads there.
        shop_domain: what it says that its domain is.
    """

    api_url: str
    host: str
    shop_domain: str


@dataclass(frozen=True)
class Follower:
    """Follows a tenant's store that was renamed (`shopify.client.Mover`): to the same shop alone, and writes it down.

    The token goes to hosts of myshopify.com alone, and what comes from there is used once its shop is known to be the
    tenant's.

    Args:
        database: where the tenant is registered.
        tenant: whose store.
        token: of the store.
        urls: where stores are, see `store_url`.
        retry_policy: how long to try.
        on_close: told what it cost.
    """

    database: Database
    tenant: Tenant
    token: TokenSource | str
    urls: str
    retry_policy: RetryPolicy | None = None
    on_close: Callable[[Usage], None] = lambda _: None

    def follow(self, domain: str) -> str:
        """The root of the API to go on with; the tenant is there from now on.

        Args:
            domain: that the store's address leads to.

        Raises:
            OtherShopError: the shop there is another; nothing was changed.
            StoreUnavailableError: it leads on and on, or back.
            ShopifyError: the shop there cannot be asked.
        """
        place = self.find(domain)
        reason = f"its former address leads to {place.host}, where the same shop answers"
        with self.database.connect() as connection:
            if relocate(connection, self.tenant, place, reason):
                log.warning("%s: its store was renamed; it is read at %s now.", self.tenant.tenant_id, place.host)
        return place.api_url

    def find(self, domain: str) -> Place:
        """Where the tenant's shop is, for who was led to a domain; nothing is written. Errors are those of `follow`."""
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
                    f"{self.tenant.tenant_id}: its address leads to {domain}, where another shop answers "
                    f"({shop['id']}, {shop['myshopifyDomain']}) than the one that was registered "
                    f"({self.tenant.shop_gid}); nothing was changed. Name the store's address with "
                    f"`xeno tenant set-domain {self.tenant.tenant_id} DOMAIN`."
                )
            return Place(url, domain, shop["myshopifyDomain"])
        raise StoreUnavailableError(
            self.tenant.tenant_id,
            "Shop",
            f"was redirected in a circle, or too often, the last time to {domain}; nothing was changed. Name the "
            f"store's address with `xeno tenant set-domain {self.tenant.tenant_id} DOMAIN`.",
        )


def relocate(connection: Connection, tenant: Tenant, place: Place, reason: str) -> bool:
    """Read a tenant's store at another place from now on, in the caller's transaction; all its domains stay known.

    Args:
        connection: not in autocommit mode.
        tenant: whose shop was found there.
        place: where.
        reason: for the audit log.

    Returns:
        Whether that is new.

    Raises:
        UnknownTenantError: it is no tenant any more.
    """
    known = registry.get(connection, tenant.tenant_id, to_change=True)
    if known.shop_gid != tenant.shop_gid or (known.api_url, known.shop_domain) == (place.api_url, place.shop_domain):
        return False
    registry.move(connection, known.tenant_id, place.api_url)
    registry.rename(connection, known.tenant_id, place.shop_domain)
    registry.add_domain(connection, known.tenant_id, place.host)
    audit.record(connection, known.tenant_id, f"moved from {known.shop_domain} to {place.host}", reason)
    return True
