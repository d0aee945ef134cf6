"""Connecting stores: verify the token, read the store's properties, and register it as a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import MovedError
from xeno_pipeline.shopify.oauth import App, IssuedToken, request_token
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.shop_domains import SHOPIFY_URLS, InvalidShopError, follow_redirects, store_url
from xeno_pipeline.shopify.transport import is_loopback
from xeno_pipeline.shopify.usage import Usage
from xeno_pipeline.tenants import registry, syncs, usage
from xeno_pipeline.tenants.apps import own_app_client_id, store_app
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.domains import Follower, OtherShopError, Place, relocate
from xeno_pipeline.tenants.grants import Grant, RenewingToken, store_grant
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.scopes import REQUIRED_SCOPES, missing_scopes


class MissingScopeError(XenoError):
    """The token lacks access scopes that the pipeline needs."""


def connect_store(database: Database, ring: KeyRing, *, handle: str, api_url: str | None, token: str) -> Tenant:
    """Register a store as a tenant, after verifying its token.

    Args:
        api_url: the root of its Admin API; None for the one at myshopify.com.

    Raises:
        UsageError: the handle or the URL is invalid.
        TenantExistsError: the store is already registered.
        OtherShopError: the shop there has another handle.
        MissingScopeError: the token lacks a required scope.
        ShopifyError: the store cannot be reached, or rejects the token.
    """
    url = _new_store_url(database, handle, api_url)
    tenant = _verify_new_store(handle, url, token)
    with database.connect() as connection:
        registry.add(connection, tenant)
        store_grant(connection, ring, handle, Grant.permanent(token))
    return tenant


def connect_by_own_app(database: Database, ring: KeyRing, *, handle: str, api_url: str | None, app: App) -> Tenant:
    """Register a store as a tenant by an app of its own organisation, whose client credentials obtain its tokens.

    Raises:
        GrantRefusedError: Shopify issues no token for this store to that app. Others as `connect_store` does.
    """
    url = _new_store_url(database, handle, api_url)
    issued = request_token(handle, url, app)
    tenant = _verify_new_store(handle, url, issued.token)
    with database.connect() as connection:
        registry.add(connection, tenant)
        store_app(connection, ring, handle, app.client_id, app.secret)
        store_grant(connection, ring, handle, Grant.of_own_app(issued))
    return tenant


def connect_authorized(database: Database, ring: KeyRing, *, handle: str, api_url: str, issued: IssuedToken) -> Tenant:
    """Register a store whose merchant has authorized the app, or resume its tenant, and request a backfill.

    A renamed store keeps its tenant.

    Args:
        api_url: the root of its Admin API.
        issued: the token for the authorization code.

    Raises:
        OtherShopError: the shop there has another handle, or is not the tenant's.
        MissingScopeError: the token lacks a required scope.
        ShopifyError: the store cannot be reached, or rejects the token.
        RolesNotPermittedError: the owner may not enable the role of its BI tool.
    """
    tenant = _verify_new_store(handle, _checked_url(api_url), issued.token)
    with database.connect() as connection:
        known = registry.find_by_shop(connection, tenant.shop_gid) or registry.find(connection, handle)
        if known is None:
            registry.add(connection, tenant)
        else:
            check_same_shop(known, tenant)
            tenant = replace(tenant, tenant_id=known.tenant_id)
            registry.update_facts(connection, tenant)
            registry.reconnect(connection, tenant.tenant_id, tenant.api_url)
        store_grant(connection, ring, tenant.tenant_id, Grant.authorized(issued))
        syncs.request_first_read(connection, tenant.tenant_id)
    return tenant


def set_domain(
    database: Database, ring: KeyRing, *, handle: str, domain: str, app: App | None, urls: str = SHOPIFY_URLS
) -> Tenant:
    """Change the domain of a tenant whose store was renamed, after verifying its token there.

    Args:
        handle: the tenant; that stays its id.
        domain: the shop's current one: `new-name.myshopify.com`.
        app: the installation's app, which refreshes expiring tokens.
        urls: the template of stores' URLs, see `store_url`.

    Raises:
        UsageError: the domain is invalid.
        UnknownTenantError: there is no such tenant.
        OtherShopError: another shop is there.
        MissingScopeError, CredentialError, ShopifyError: the store cannot be queried there; nothing was changed.
    """
    try:
        url = store_url(urls, domain.lower())
    except InvalidShopError:
        raise UsageError(f"{domain!r} is not a store's domain; expected one like new-name.myshopify.com.") from None
    with database.connect() as connection:
        known = registry.get(connection, handle)
    moved = replace(known, api_url=url)
    token = RenewingToken(database, ring, moved, app, urls)
    client = ShopifyClient(tenant=handle, api_url=url, token=token, retry_policy=RetryPolicy.INTERACTIVE)
    try:
        facts = read_facts(client, handle, url)
    finally:
        client.close()
    check_same_shop(moved, facts)
    with database.connect() as connection:
        place = Place(url, domain.lower(), facts.shop_domain)
        relocate(connection, known, place, "`xeno tenant set-domain`, and the same shop responds there")
        registry.update_facts(connection, facts)
        return registry.get(connection, handle)


def replace_app(
    database: Database,
    ring: KeyRing,
    *,
    handle: str,
    secret: str,
    client_id: str | None = None,
    urls: str = SHOPIFY_URLS,
) -> Tenant:
    """Replace the secret of a tenant's own app, after verifying it if the app issues the tenant's tokens.

    Args:
        secret: signs the app's webhooks.
        client_id: with it the app issues tokens, too; None keeps the stored one.
        urls: the template of stores' URLs, see `store_url`.

    Raises:
        UnknownTenantError: there is no such tenant.
        OtherShopError, MissingScopeError, ShopifyError: the app issues no usable token for the store.
    """
    with database.connect() as connection:
        known = registry.get(connection, handle)
        client_id = client_id or own_app_client_id(connection, handle)
        if client_id is None:
            store_app(connection, ring, handle, None, secret)
            return known
    app = App(client_id, secret)
    issued = follow_redirects(known.api_url, urls, lambda url: request_token(handle, url, app))
    tenant, place = _verify_known_store(database, known, issued.token, urls)
    with database.connect() as connection:
        _store_facts(connection, known, tenant, place)
        registry.record_connection(connection, handle)
        store_app(connection, ring, handle, client_id, secret)
        store_grant(connection, ring, handle, Grant.of_own_app(issued))
    return tenant


def replace_token(database: Database, ring: KeyRing, *, handle: str, token: str, urls: str = SHOPIFY_URLS) -> Tenant:
    """Replace a tenant's token, after verifying the new one.

    Raises:
        UnknownTenantError: there is no such tenant.
        OtherShopError: the token is another shop's.
        MissingScopeError: the token lacks a required scope.
        ShopifyError: the store cannot be reached, or rejects the token.
    """
    with database.connect() as connection:
        known = registry.get(connection, handle)
    tenant, place = _verify_known_store(database, known, token, urls)
    with database.connect() as connection:
        _store_facts(connection, known, tenant, place)
        registry.record_connection(connection, handle)
        store_grant(connection, ring, handle, Grant.permanent(token))
    return tenant


def open_client(
    database: Database,
    ring: KeyRing,
    tenant: Tenant,
    *,
    app: App | None,
    retry_policy: RetryPolicy | None = None,
    urls: str = SHOPIFY_URLS,
) -> ShopifyClient:
    """A client of the tenant's store that renews its token, follows renames, and records its usage when it is closed.

    Args:
        app: the installation's app (`apps.installation_app`), which refreshes expiring tokens.
        urls: the template of stores' URLs, see `store_url`.

    Raises:
        CredentialError: the tenant has no readable token.
    """

    def record(spent: Usage) -> None:
        with database.connect() as connection:
            usage.record(connection, tenant.tenant_id, spent.points, spent.requests)

    token = RenewingToken(database, ring, tenant, app, urls)
    return ShopifyClient(
        tenant=tenant.tenant_id,
        api_url=tenant.api_url,
        token=token,
        retry_policy=retry_policy,
        mover=Follower(database, tenant, token, urls, retry_policy, record),
        on_close=record,
    )


def read_facts(client: ShopifyClient, handle: str, api_url: str) -> Tenant:
    """Query the store's properties and the token's scopes.

    Raises:
        MissingScopeError: the token lacks a required scope.
        ShopifyError: the store cannot be reached, or rejects the token.
    """
    tenant = tenant_from(client.execute(operation("Shop")).data, handle, api_url)
    missing = missing_scopes(REQUIRED_SCOPES, tenant.access_scopes)
    if missing:
        raise MissingScopeError(
            f"{handle}: the token lacks the access scope{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            "grant them to the app, approve the change in the store, and try again."
        )
    return tenant


def tenant_from(data: Mapping[str, Any], handle: str, api_url: str) -> Tenant:
    """Parse the response to the query `Shop`."""
    shop = data["shop"]
    return Tenant(
        tenant_id=handle,
        shop_gid=shop["id"],
        shop_domain=shop["myshopifyDomain"],
        api_url=api_url,
        name=shop["name"],
        currency=shop["currencyCode"],
        iana_timezone=shop["ianaTimezone"],
        plan=shop["plan"]["publicDisplayName"],
        access_scopes=sorted(s["handle"] for s in data["currentAppInstallation"]["accessScopes"]),
    )


def check_same_shop(known: Tenant, facts: Tenant) -> None:
    """Check that a store is the tenant's shop, so that another shop's data is never loaded as the tenant's.

    Raises:
        OtherShopError: it is another shop.
    """
    if facts.shop_gid != known.shop_gid:
        raise OtherShopError(
            f"{known.tenant_id}: the store at {known.api_url} is another shop ({facts.shop_domain}) than the "
            "registered one; nothing was changed. Correct the address or the token."
        )


def history_warning(tenant: Tenant) -> str | None:
    """The warning about a token without access to all orders."""
    if tenant.sees_all_orders:
        return None
    return (
        f"{tenant.tenant_id}: without the access scope read_all_orders Shopify shows only the orders of the last "
        "60 days. All figures will lack older orders. Request the scope, "
        f"approve it in the store, and run `xeno sync {tenant.tenant_id} --full`."
    )


def _verify_new_store(handle: str, url: str, token: str) -> Tenant:
    """Query the properties of the store at a URL, and check that it has the expected handle."""
    tenant = _query_facts(handle, url, token)
    actual_handle = tenant.shop_domain.partition(".")[0]
    if actual_handle != handle:
        raise OtherShopError(
            f"{handle}: the store at {url} is {actual_handle} ({tenant.shop_domain}); nothing was "
            f"registered. Correct the address, or add the store as {actual_handle!r}."
        )
    return tenant


def _verify_known_store(database: Database, known: Tenant, token: str, urls: str) -> tuple[Tenant, Place | None]:
    """Query the properties of a tenant's store with a new token, and check that it is the same shop.

    Returns:
        The properties, and the store's new place if it was renamed.
    """
    place = None
    try:
        tenant = _query_facts(known.tenant_id, known.api_url, token)
    except MovedError as moved:
        place = Follower(database, known, token, urls, RetryPolicy.INTERACTIVE).find(moved.domain)
        tenant = _query_facts(known.tenant_id, place.api_url, token)
    check_same_shop(known, tenant)
    return tenant, place


def _store_facts(connection: Connection, known: Tenant, tenant: Tenant, place: Place | None) -> None:
    if place is not None:
        relocate(connection, known, place, "its former address redirects there, and the same shop responds")
    registry.update_facts(connection, tenant)


def _query_facts(handle: str, url: str, token: str) -> Tenant:
    client = ShopifyClient(tenant=handle, api_url=url, token=token, retry_policy=RetryPolicy.INTERACTIVE)
    try:
        return read_facts(client, handle, url)
    finally:
        client.close()


def _new_store_url(database: Database, handle: str, api_url: str | None) -> str:
    """The URL of the Admin API of a store that is not registered yet."""
    registry.check_handle(handle)
    url = _checked_url(api_url or SHOPIFY_URLS.format(handle=handle))
    with database.connect() as connection:
        registry.check_not_registered(connection, handle)
    return url


def _checked_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{url!r} is not an API URL; expected one like https://acme.myshopify.com.")
    if url.startswith("http://") and not is_loopback(url):
        raise UsageError(f"{url!r} would send the token unencrypted: use https://.")
    return url.rstrip("/")
