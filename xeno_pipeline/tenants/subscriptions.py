"""The webhook subscriptions of tenants: compared with the wanted ones, and repaired.

Shopify deletes a subscription after eight failed deliveries in a row. Ours are those to our current or former address;
any other belongs to another installation of the same app, and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.subscriptions import TOPICS, Subscription, SubscriptionRefusedError, Subscriptions
from xeno_pipeline.shopify.transport import is_loopback
from xeno_pipeline.tenants.registry import Tenant

_PARALLEL_TENANTS = 8


@dataclass(frozen=True)
class Comparison:
    """How a shop's subscriptions differ from the wanted ones.

    Args:
        missing: topics without a subscription of ours.
        wrong: ours with our former address, or with incomplete payloads.
        surplus: ours that are not needed: of another topic, or duplicates.
        foreign: other installations'.
    """

    missing: Sequence[str]
    wrong: Sequence[Subscription]
    surplus: Sequence[Subscription]
    foreign: Sequence[Subscription]


@dataclass
class Registration:
    """The result of repairing a tenant's subscriptions.

    Args:
        created, updated, deleted: topics of ours that were repaired.
        foreign: addresses of other installations' subscriptions.
        missing: topics that are still not subscribed.
        error: why they are missing, or why nothing could be compared.
        has_moved: whether none of ours has our former address any more.
        has_failed: whether the result could not be stored.
    """

    tenant_id: str
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    error: str | None = None
    has_moved: bool = False
    has_failed: bool = False

    @property
    def is_renewed(self) -> bool:
        """Whether a topic is subscribed by now that was not before, or not rightly."""
        return bool(self.created or self.updated)


def callback_url(public_url: str | None) -> str:
    """The URL that webhooks are delivered to.

    Raises:
        UsageError: there is no public URL, or none that Shopify delivers to.
    """
    if public_url is None:
        raise UsageError("XENO_PUBLIC_URL is not set: Shopify needs the URL of the gateway.")
    if not public_url.startswith("https://") and not is_loopback(public_url):
        raise UsageError(f"XENO_PUBLIC_URL is {public_url!r}: Shopify delivers to https:// only.")
    return f"{public_url.rstrip('/')}/webhooks/shopify"


def compare(existing: Sequence[Subscription], url: str, former_url: str | None = None) -> Comparison:
    """Compare existing subscriptions with one for each topic, at our address."""
    ours = [subscription for subscription in existing if subscription.uri in (url, former_url)]
    kept: dict[str, Subscription] = {}
    for subscription in sorted(ours, key=lambda each: (each.uri != url, not each.is_whole)):
        if subscription.topic in TOPICS:
            kept.setdefault(subscription.topic, subscription)
    return Comparison(
        missing=[topic for topic in TOPICS if topic not in kept],
        wrong=[each for each in kept.values() if each.uri != url or not each.is_whole],
        surplus=[each for each in ours if each is not kept.get(each.topic)],
        foreign=[each for each in existing if each not in ours],
    )


def ensure_subscriptions(
    subscriptions: Subscriptions, tenant_id: str, url: str, former_url: str | None = None
) -> Registration:
    """Repair our subscriptions in a shop; concurrent repairs are harmless, as Shopify rejects duplicates.

    Raises:
        ShopifyError: the shop cannot be reached, or rejects the token.
    """
    found = compare(subscriptions.list_all(), url, former_url)
    done = Registration(tenant_id, foreign=sorted({each.uri for each in found.foreign}))
    refusals: list[str] = []
    for subscription in found.surplus:
        subscriptions.delete(subscription)
        done.deleted.append(subscription.topic)
    for subscription in found.wrong:
        try:
            subscriptions.update(subscription, url)
            done.updated.append(subscription.topic)
        except SubscriptionRefusedError as refusal:
            done.missing.append(subscription.topic)
            refusals.append(str(refusal))
    for topic in found.missing:
        try:
            subscriptions.create(topic, url)
            done.created.append(topic)
        except SubscriptionRefusedError as refusal:
            done.missing.append(topic)
            refusals.append(str(refusal))
    done.has_moved = len(done.updated) == len(found.wrong)
    done.error = " ".join(refusals) or None
    return done


def register(
    database: Database, client_of: Callable[[Tenant, RetryPolicy], ShopifyClient], tenants: Sequence[Tenant], url: str
) -> list[Registration]:
    """Repair the subscriptions of several tenants in parallel, and store the results.

    Returns:
        A result for each tenant, failed ones included.
    """

    def register_one(tenant: Tenant) -> Registration:
        try:
            client = client_of(tenant, RetryPolicy.INTERACTIVE)
            try:
                former_url = _known_url(database, tenant.tenant_id)
                done = ensure_subscriptions(Subscriptions(client), tenant.tenant_id, url, former_url)
            finally:
                client.close()
        except Exception as error:  # noqa: BLE001 - it is in the result
            done = Registration(tenant.tenant_id, error=_reason(tenant, error))
        try:
            with database.connect() as connection:
                _store_result(connection, done, url)
        except Exception as error:  # noqa: BLE001 - it is in the result
            done.error = done.error or _reason(tenant, error)
            done.has_failed = True
        return done

    with ThreadPoolExecutor(_PARALLEL_TENANTS, thread_name_prefix="subscriptions") as pool:
        return list(pool.map(register_one, tenants))


def _reason(tenant: Tenant, error: Exception) -> str:
    reason = safe_message(error)
    return reason if isinstance(error, XenoError) else f"{tenant.tenant_id}: its subscriptions failed: {reason}"


def never_compared(connection: Connection) -> dict[str, datetime]:
    """The active tenants whose subscriptions were never compared, with the time they were connected."""
    rows = connection.execute(
        """
        select tenant_id, connected_at from ops.tenants
        where status = 'active' and tenant_id not in (select tenant_id from ops.webhook_subscriptions)
        order by tenant_id
        """
    ).fetchall()
    return dict(rows)


def _known_url(database: Database, tenant_id: str) -> str | None:
    with database.connect() as connection:
        row = connection.execute(
            "select callback_url from ops.webhook_subscriptions where tenant_id = %s", [tenant_id]
        ).fetchone()
    return row[0] if row else None


def _store_result(connection: Connection, done: Registration, url: str) -> None:
    """Store the result; our former address is kept until no subscription has it any more.

    The subscriptions count as renewed after a comparison that failed, too: it may have created some before it did.
    """
    connection.execute(
        """
        insert into ops.webhook_subscriptions (tenant_id, callback_url, missing, error, renewed_at)
        select
            tenant_id, %(url)s, %(missing)s, %(error)s,
            case when %(is_renewed)s or %(error)s::text is null then clock_timestamp() end
        from ops.tenants
        where tenant_id = %(tenant_id)s and status = 'active'
        on conflict (tenant_id) do update
        set callback_url =
            case when %(has_moved)s then excluded.callback_url else webhook_subscriptions.callback_url end,
            compared_at = now(), missing = excluded.missing, error = excluded.error,
            renewed_at =
                case
                    when %(is_renewed)s or webhook_subscriptions.error <> coalesce(excluded.error, '')
                    then clock_timestamp()
                    else webhook_subscriptions.renewed_at
                end
        """,
        {**vars(done), "is_renewed": done.is_renewed, "url": url},
    )
