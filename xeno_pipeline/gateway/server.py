"""The gateway as a process."""

from __future__ import annotations

from functools import partial

from xeno_pipeline.database.connection import Database, DatabaseUnavailableError, database_url, pooled_database
from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.errors import UsageError
from xeno_pipeline.gateway.app import Gateway
from xeno_pipeline.gateway.oauth import oauth_config
from xeno_pipeline.gateway.signatures import Signatures
from xeno_pipeline.settings import Settings
from xeno_pipeline.tenants.credentials import load_key_ring
from xeno_pipeline.web.listener import listen
from xeno_pipeline.web.metrics import serve_metrics


def serve(settings: Settings, host: str, port: int, metrics_port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        port: 0 takes a free one, which is in the first line of the log.
        metrics_port: where /metrics is, instead of at `port`.

    Raises:
        UsageError: there is no secret to verify webhooks with, or a setting of OAuth is missing.
        PortTakenError: the port is in use, or not permitted.
    """
    database, secrets = pooled_database(settings), app_secrets(settings)
    connecting = _database(settings)
    oauth = oauth_config(settings, secrets)
    signatures = Signatures(database, secrets, partial(load_key_ring, settings))
    if not secrets and not signatures.has_own():
        raise UsageError("XENO_SHOPIFY_API_SECRET is not set: webhooks cannot be verified without the app's secret.")
    gateway = Gateway(database, signatures, oauth, connecting)
    app = gateway.app(shows_metrics=metrics_port is None)
    with serve_metrics(gateway.metrics.registry, host, metrics_port):
        listen(app, host, port, name="The gateway", setting="XENO_GATEWAY_PORT")


def app_secrets(settings: Settings) -> list[str]:
    """The secrets of the installation's app, current one first."""
    given = [settings.shopify_api_secret, settings.shopify_api_secret_previous]
    return [secret.get_secret_value() for secret in given if secret is not None]


def _database(settings: Settings) -> Database:
    """The database, even if it is not available yet: until then, deliveries get a 503."""
    try:
        return open_migrated(settings)
    except DatabaseUnavailableError:
        return Database(database_url(settings))
