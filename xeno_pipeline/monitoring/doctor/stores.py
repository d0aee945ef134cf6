"""Tenants' stores: each is asked once, all side by side, and none for long."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from xeno_pipeline.database.connection import Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.clock import examine_clock
from xeno_pipeline.monitoring.doctor.finding import Finding, from_error, ok, warning, wrong
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.oauth import check_url_template
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.transport import is_loopback
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apps import installation_app
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.onboarding import check_same_shop, history_warning, open_client, read_facts
from xeno_pipeline.tenants.registry import Tenant

_AT_ONCE = 16
_SECONDS_FOR_ALL = 60.0
"""For a thousand stores that answer in half a second; whoever was not asked by then is said not to have been."""


def examine_stores(settings: Settings, database: Database, ring: KeyRing | None) -> list[Finding]:
    """Tokens, scopes and subscriptions of all active tenants, and one store's clock."""
    with database.connect() as connection:
        tenants = registry.active(connection)
    if not tenants:
        return [warning("stores", "There are no active tenants.", "Connect one with `xeno tenant add`.")]
    if ring is None:
        return []
    return [
        *_examine_tokens(settings, database, ring, tenants),
        *_examine_subscriptions(settings, database, len(tenants)),
        _examine_store_clock(tenants),
    ]


def _examine_tokens(settings: Settings, database: Database, ring: KeyRing, tenants: Sequence[Tenant]) -> list[Finding]:
    """What each store says to its token; those where all is well in one finding together."""
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor")
    asked = {pool.submit(_examine_token, settings, database, ring, tenant): tenant for tenant in tenants}
    answered, unanswered = wait(asked, _SECONDS_FOR_ALL)
    pool.shutdown(wait=False, cancel_futures=True)
    problems = [finding for future in asked if future in answered for finding in future.result()]
    good = len(answered) - len({finding.subject for finding in problems})
    if unanswered:
        who = ", ".join(sorted(asked[future].tenant_id for future in unanswered)[:5])
        told = f"{len(unanswered)} were not asked within {_SECONDS_FOR_ALL:.0f} s, such as {who}."
        problems.append(warning("stores", told, "Try again when the network is faster."))
    return [ok("stores", f"{good} of {len(tenants)} answer, with all access scopes that are needed"), *problems]


def _examine_token(settings: Settings, database: Database, ring: KeyRing, tenant: Tenant) -> list[Finding]:
    """What is wrong with one tenant's token; nothing where all is well."""
    subject = f"store {tenant.tenant_id}"
    try:
        app, urls = installation_app(settings), check_url_template(settings.shopify_url_template)
        client = open_client(database, ring, tenant, app=app, retry_policy=RetryPolicy.QUICK, urls=urls)
        try:
            facts = read_facts(client, tenant.tenant_id, tenant.api_url)
        finally:
            client.close()
        check_same_shop(tenant, facts)
    except XenoError as error:
        return [from_error(subject, error)]
    text = history_warning(facts)
    return [warning(subject, text, "")] if text else []


def _examine_subscriptions(settings: Settings, database: Database, tenants: int) -> list[Finding]:
    """What the last comparison of webhook subscriptions left to be desired; nothing where none are wanted."""
    if settings.public_url is None:
        return [ok("subscriptions", "none are wanted: XENO_PUBLIC_URL is not set")]
    with database.connect() as connection:
        rows = connection.execute("""
            select tenant_id, compared_at, missing, error
            from ops.tenants left join ops.webhook_subscriptions using (tenant_id)
            where status = 'active' order by tenant_id
            """).fetchall()
    remedy = "Run `xeno webhooks register {}`."
    problems = []
    for tenant_id, compared_at, missing, error in rows:
        subject = f"store {tenant_id}"
        if compared_at is None:
            problems.append(wrong(subject, "It has no webhook subscriptions yet.", remedy.format(tenant_id)))
        elif missing or error:
            told = f"It has no subscription to {', '.join(missing)}" if missing else "Its subscriptions are not known"
            problems.append(wrong(subject, f"{told}{f' ({error})' if error else ''}.", remedy.format(tenant_id)))
    return problems or [ok("subscriptions", f"all {tenants} stores send their webhooks to {settings.public_url}")]


def _examine_store_clock(tenants: Sequence[Tenant]) -> Finding:
    """Compare the clock of the first store that tells one: every answer of HTTP carries a date."""
    for tenant in tenants[:3]:
        with requests.Session() as session:
            session.trust_env = not is_loopback(tenant.api_url)
            started = time.time()
            try:
                answer = session.head(tenant.api_url, timeout=5, allow_redirects=False)
                its_time = parsedate_to_datetime(answer.headers["Date"])
            except (requests.RequestException, KeyError, ValueError):
                continue
            middle = (started + time.time()) / 2
        return examine_clock(f"clock of {tenant.tenant_id}", its_time, datetime.fromtimestamp(middle, UTC))
    return warning("clock of a store", "No store told its time.", "See what is said of the stores.")
