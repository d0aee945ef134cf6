"""The tenants' stores: one query to each, in parallel and with a short time-out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.monitoring.doctor.clock import diagnose_clock
from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, from_error, ok, warning
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.oauth import check_url_template
from xeno_pipeline.shopify.retry import RetryPolicy
from xeno_pipeline.shopify.transport import is_loopback
from xeno_pipeline.tenants import registry
from xeno_pipeline.tenants.apps import installation_app
from xeno_pipeline.tenants.credentials import KeyRing
from xeno_pipeline.tenants.onboarding import check_same_shop, history_warning, open_client, read_facts
from xeno_pipeline.tenants.registry import Tenant

_STORES_IN_PARALLEL = 16
_TIMEOUT_SECONDS = 60.0
"""For all stores together: enough for a thousand that respond in half a second."""


def diagnose_stores(settings: Settings, database: Database, ring: KeyRing | None) -> list[Diagnosis]:
    """Tokens and scopes of all active tenants, one store's clock, and who is moving away."""
    with database.connect() as connection:
        tenants = registry.active(connection)
        moving = _diagnose_moving(connection)
    if not tenants:
        return [warning("stores", "There are no active tenants.", "Connect one with `xeno tenant add`."), *moving]
    if ring is None:
        return moving
    return [
        *moving,
        *_diagnose_tokens(settings, database, ring, tenants),
        _diagnose_store_clock(tenants),
    ]


def _diagnose_moving(connection: Connection) -> list[Diagnosis]:
    """The tenants that are moving to another installation, which no check is about, as nothing of them is due."""
    query = "select tenant_id, exported_at from ops.tenants where status = 'moving' order by tenant_id"
    return [
        warning(
            f"store {tenant_id}",
            f"It was exported at {exported_at:%Y-%m-%d %H:%M} UTC, and is not synced since."
            if exported_at
            else "It is not synced while it is exported; the export has not ended, or its process died.",
            f"Remove it once it is there, or read it here again with `xeno tenant resume {tenant_id}`.",
        )
        for tenant_id, exported_at in connection.execute(query)
    ]


def _diagnose_tokens(
    settings: Settings, database: Database, ring: KeyRing, tenants: Sequence[Tenant]
) -> list[Diagnosis]:
    """Query each store with its token; those without a problem share one diagnosis."""
    pool = ThreadPoolExecutor(_STORES_IN_PARALLEL, thread_name_prefix="doctor")
    queries = {pool.submit(_diagnose_token, settings, database, ring, tenant): tenant for tenant in tenants}
    done, not_done = wait(queries, _TIMEOUT_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    problems = [problem for future in queries if future in done for problem in future.result()]
    healthy = len(done) - len({problem.subject for problem in problems})
    if not_done:
        examples = ", ".join(sorted(queries[future].tenant_id for future in not_done)[:5])
        message = f"{len(not_done)} were not reached within {_TIMEOUT_SECONDS:.0f} s, for example {examples}."
        problems.append(warning("stores", message, "Try again when the network is faster."))
    return [ok("stores", f"{healthy} of {len(tenants)} respond, with all required access scopes"), *problems]


def _diagnose_token(settings: Settings, database: Database, ring: KeyRing, tenant: Tenant) -> list[Diagnosis]:
    """The problems of one tenant's token."""
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


def _diagnose_store_clock(tenants: Sequence[Tenant]) -> Diagnosis:
    """Compare the clock of the first store that responds: every HTTP response carries a date."""
    for tenant in tenants[:3]:
        with requests.Session() as session:
            session.trust_env = not is_loopback(tenant.api_url)
            started = time.time()
            try:
                response = session.head(tenant.api_url, timeout=5, allow_redirects=False)
                store_time = parsedate_to_datetime(response.headers["Date"])
            except (requests.RequestException, KeyError, ValueError):
                continue
            middle = (started + time.time()) / 2
        return diagnose_clock(f"clock of {tenant.tenant_id}", store_time, datetime.fromtimestamp(middle, UTC))
    return warning("clock of a store", "No store responded with its time.", "See the problems of the stores.")
