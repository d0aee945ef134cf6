"""Connecting a store: its token is tried, its facts are read from itself, and it becomes a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from xeno_pipeline.tenants import backfills, registry, usage
from xeno_pipeline.tenants.apps import bringing_client_id, store_app
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.domains import Follower, OtherShopError, Place, relocate
from xeno_pipeline.tenants.grants import Grant, RenewingToken, store_grant
from xeno_pipeline.tenants.registry import Tenant

NEEDED_SCOPES = ("read_customers", "read_orders", "read_products")


class MissingScopeError(XenoError):
    """The token does not reach what the pipeline reads."""


def connect_store(database: Database, ring: KeyRing, *, handle: str, api_url: str | None, token: str) -> Tenant:
    """Register a store as a tenant, after its token was tried.

    Args:
        database: where tenants are registered.
        ring: the keys that the token is sealed with.
        handle: the store's handle.
        api_url: the root of its Admin API; None for the one at myshopify.com.
        token: an Admin API access token.

    Raises:
        UsageError: handle or URL is none.
        TenantExistsError: the store is registered already.
        OtherShopError: the shop that answers has another handle.
        MissingScopeError: the token lacks a scope that nothing works without.
        ShopifyError: the store cannot be reached, or refuses the token.
    """
    url = _new_store_url(database, handle, api_url)
    tenant = _tried(handle, url, token)
    with database.connect() as connection:
        registry.add(connection, tenant)
        store_grant(connection, ring, handle, Grant.permanent(token))
    return tenant


def connect_by_own_app(database: Database, ring: KeyRing, *, handle: str, api_url: str | None, app: App) -> Tenant:
    """Register a store as a tenant by an app of its own organisation, whose client credentials bring its tokens.

    Args and errors are those of `connect_store`; besides:

    Raises:
        GrantRefusedError: Shopify gives that app no token for this store.
    """
    url = _new_store_url(database, handle, api_url)
    issued = request_token(handle, url, app)
    tenant = _tried(handle, url, issued.token)
    with database.connect() as connection:
        registry.add(connection, tenant)
        store_app(connection, ring, handle, app.client_id, app.secret)
        store_grant(connection, ring, handle, Grant.of_own_app(issued))
    return tenant


def connect_authorized(database: Database, ring: KeyRing, *, handle: str, api_url: str, issued: IssuedToken) -> Tenant:
    """Make a store that a merchant has let the app into a tenant, or resume the one it was; its sync is requested.

    A store that was renamed is the tenant that it was.

    Args:
        database: where tenants are registered.
        ring: the keys that tokens are sealed with.
        handle: the store's handle.
        api_url: the root of its Admin API.
        issued: what came for the code.

    Raises:
        OtherShopError: the shop that answers has another handle, or is another than the tenant was.
        MissingScopeError: the token lacks a scope that nothing works without.
        ShopifyError: the store cannot be reached, or refuses the token.
        RolesNotPermittedError: the owner may not let the role of its BI tool log in again.
    """
    tenant = _tried(handle, _checked_url(api_url), issued.token)
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
        backfills.request(connection, tenant.tenant_id)
    return tenant


def set_domain(
    database: Database, ring: KeyRing, *, handle: str, domain: str, app: App | None, urls: str = SHOPIFY_URLS
) -> Tenant:
    """Read a tenant's store, which was renamed, at another domain, after its token was tried there.

    Args:
        database: where the tenant is registered.
        ring: the keys that its token is sealed with.
        handle: the tenant; that stays its id.
        domain: of its shop now: `new-name.myshopify.com`.
        app: the installation's app, with which expiring tokens are refreshed.
        urls: where stores are, see `store_url`.

    Raises:
        UsageError: the domain is none.
        UnknownTenantError: there is no such tenant.
        OtherShopError: another shop answers there.
        MissingScopeError, CredentialError, ShopifyError: it cannot be read there; nothing was changed.
    """
    try:
        url = store_url(urls, domain.lower())
    except InvalidShopError:
        raise UsageError(f"{domain!r} is no store's domain: it is written as new-name.myshopify.com is.") from None
    with database.connect() as connection:
        known = registry.get(connection, handle)
    there = replace(known, api_url=url)
    token = RenewingToken(database, ring, there, app, urls)
    client = ShopifyClient(tenant=handle, api_url=url, token=token, retry_policy=RetryPolicy.INTERACTIVE)
    try:
        facts = read_facts(client, handle, url)
    finally:
        client.close()
    check_same_shop(there, facts)
    with database.connect() as connection:
        place = Place(url, domain.lower(), facts.shop_domain)
        relocate(connection, known, place, "`xeno tenant set-domain`, and the same shop answers there")
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
    """Give a tenant a new secret of its own app, after it was tried where tokens hang on it.

    Args:
        database: where the tenant is registered.
        ring: the keys that the secret is sealed with.
        handle: the tenant.
        secret: what the app signs webhooks with.
        client_id: of the app, with which it brings tokens too; None leaves it as it is.
        urls: where stores are, see `store_url`.

    Raises:
        UnknownTenantError: there is no such tenant.
        OtherShopError, MissingScopeError, ShopifyError: the app brings no token that the store can be read with.
    """
    with database.connect() as connection:
        known = registry.get(connection, handle)
        client_id = client_id or bringing_client_id(connection, handle)
        if client_id is None:
            store_app(connection, ring, handle, None, secret)
            return known
    app = App(client_id, secret)
    issued = follow_redirects(known.api_url, urls, lambda url: request_token(handle, url, app))
    tenant, place = _tried_again(database, known, issued.token, urls)
    with database.connect() as connection:
        _keep_facts(connection, known, tenant, place)
        registry.record_connection(connection, handle)
        store_app(connection, ring, handle, client_id, secret)
        store_grant(connection, ring, handle, Grant.of_own_app(issued))
    return tenant


def replace_token(database: Database, ring: KeyRing, *, handle: str, token: str, urls: str = SHOPIFY_URLS) -> Tenant:
    """Give a tenant a new token, after it was tried.

    Raises:
        UnknownTenantError: there is no such tenant.
        OtherShopError: the token is of another shop.
        MissingScopeError: the token lacks a scope that nothing works without.
        ShopifyError: the store cannot be reached, or refuses the token.
    """
    with database.connect() as connection:
        known = registry.get(connection, handle)
    tenant, place = _tried_again(database, known, token, urls)
    with database.connect() as connection:
        _keep_facts(connection, known, tenant, place)
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
    """A client of the tenant's store, whose token is renewed whenever it ends; closing it records what it cost.

    Where the store was renamed it is followed, and the tenant with it.

    Args:
        database: where the tenant's grant is.
        ring: the keys it is sealed with.
        tenant: whose store.
        app: the installation's app (`apps.installation_app`), with which expiring tokens are refreshed.
        retry_policy: how long its calls keep trying.
        urls: where stores are, see `store_url`.

    Raises:
        CredentialError: the tenant has no token that can be read.
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
    """What the store tells of itself and of the token's scopes.

    Raises:
        MissingScopeError: the token lacks a scope that nothing works without.
        ShopifyError: the store cannot be reached, or refuses the token.
    """
    tenant = tenant_from(client.execute(operation("Shop")).data, handle, api_url)
    missing = withheld(NEEDED_SCOPES, tenant.access_scopes)
    if missing:
        raise MissingScopeError(
            f"{handle}: the token lacks the access scope{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            "grant the app what is missing, approve it in the store, and try again."
        )
    return tenant


def tenant_from(data: Mapping[str, Any], handle: str, api_url: str) -> Tenant:
    """Read the answer of the query `Shop`."""
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
    """Do nothing where what a store told of itself is of the shop that the tenant is.

    Raises:
        OtherShopError: it is of another: its data must never come to lie among the tenant's.
    """
    if facts.shop_gid != known.shop_gid:
        raise OtherShopError(
            f"{known.tenant_id}: what answers at {known.api_url} is another shop ({facts.shop_domain}) than the one "
            "that was registered; nothing was changed. Correct the address or the token."
        )


def history_warning(tenant: Tenant) -> str | None:
    """What to say, loudly, of a token that does not see all orders."""
    if tenant.sees_all_orders:
        return None
    return (
        f"{tenant.tenant_id}: without the access scope read_all_orders Shopify shows only the orders of the last "
        "60 days, and says nothing of the rest. Every figure will lack what is older. Request the scope, "
        f"approve it in the store, and run `xeno sync {tenant.tenant_id} --full`."
    )


def withheld(wanted: Iterable[str], granted: Iterable[str]) -> list[str]:
    """The scopes that were wanted and not granted; to write is to read."""
    granted = set(granted)
    return sorted(set(wanted) - granted - {scope.replace("write_", "read_", 1) for scope in granted})


def _tried(handle: str, url: str, token: str) -> Tenant:
    """What the store that answers there tells of itself; it is the one that was meant."""
    tenant = _facts(handle, url, token)
    its_handle = tenant.shop_domain.partition(".")[0]
    if its_handle != handle:
        raise OtherShopError(
            f"{handle}: what answers at {url} is the store {its_handle} ({tenant.shop_domain}); nothing was "
            f"registered. Correct the address, or add the store as {its_handle!r}."
        )
    return tenant


def _tried_again(database: Database, known: Tenant, token: str, urls: str) -> tuple[Tenant, Place | None]:
    """What the store of a tenant tells of itself to a new token; it is the one that it was, though it may have moved.

    Returns:
        Its facts, and where it is by now if that is another place.
    """
    place = None
    try:
        tenant = _facts(known.tenant_id, known.api_url, token)
    except MovedError as moved:
        place = Follower(database, known, token, urls, RetryPolicy.INTERACTIVE).find(moved.domain)
        tenant = _facts(known.tenant_id, place.api_url, token)
    check_same_shop(known, tenant)
    return tenant, place


def _keep_facts(connection: Connection, known: Tenant, tenant: Tenant, place: Place | None) -> None:
    if place is not None:
        relocate(connection, known, place, "its former address leads there, and the same shop answers")
    registry.update_facts(connection, tenant)


def _facts(handle: str, url: str, token: str) -> Tenant:
    client = ShopifyClient(tenant=handle, api_url=url, token=token, retry_policy=RetryPolicy.INTERACTIVE)
    try:
        return read_facts(client, handle, url)
    finally:
        client.close()


def _new_store_url(database: Database, handle: str, api_url: str | None) -> str:
    """Where the Admin API of a store is that is not registered yet."""
    registry.check_handle(handle)
    url = _checked_url(api_url or SHOPIFY_URLS.format(handle=handle))
    with database.connect() as connection:
        registry.refuse_known(connection, handle)
    return url


def _checked_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{url!r} is no API URL: it begins with https://, as https://acme.myshopify.com does.")
    if url.startswith("http://") and not is_loopback(url):
        raise UsageError(f"{url!r} would send the token in clear text: use https://.")
    return url.rstrip("/")
