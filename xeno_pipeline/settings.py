"""Settings: the only place that reads the environment (and `.env`, and files of secrets)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from xeno_pipeline.errors import UsageError

PROJECT_DIR = Path(__file__).resolve().parents[1]
"""The checkout (or image folder) that holds `dbt_project/`, `dagster.yaml` and this package."""

SANDBOX_TOKEN = "shpat_sandbox"  # noqa: S105 - opens nothing but a sandbox store on loopback
"""The token of a sandbox store, which is assumed for an API URL on loopback where none is given."""


_SECRETS_DIR = "/run/secrets"
"""Where containers find their secrets: https://docs.docker.com/compose/how-tos/use-secrets/"""


class Settings(BaseSettings):
    """Every setting, by its environment variable `XENO_<NAME>`; each is documented in docs/operate/settings.md.

    What neither the environment nor `.env` says may be said by a file `xeno_<name>` in the folder that XENO_SECRETS_DIR
    names. An empty variable or file says nothing.
    """

    model_config = SettingsConfigDict(
        env_prefix="XENO_", env_file=PROJECT_DIR / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(default=PROJECT_DIR / ".xeno", description="Where all local state lives.")
    database_url: SecretStr | None = Field(
        default=None, description="A Postgres server to use; without it, one is embedded under `home`."
    )
    database_password: SecretStr | None = Field(
        default=None, description="The password of the user in `database_url`, where that holds none."
    )
    pooler_url: SecretStr | None = Field(
        default=None, description="A pooler before that server, such as pgbouncer: for the gateway and insights."
    )
    replica_url: SecretStr | None = Field(
        default=None, description="A replica of that server, by streaming replication: what insights read from."
    )
    serving_password: SecretStr | None = Field(
        default=None, description="The password of the login xeno_serving, by which `xeno insights serve` reads."
    )
    insights_url: str = Field(
        default="http://127.0.0.1:8720",
        description="Where browsers reach `xeno insights serve`: sign-in links begin so.",
    )
    frame_ancestors: str | None = Field(
        default=None, description="Origins, blank separated, whose pages may show the dashboard in a frame."
    )
    postgres_port: int | None = Field(
        default=None, ge=1, le=65535, description="Where the embedded server listens on loopback, with passwords."
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="`id:base64` pairs, comma separated, current key first; else a key file in `home`.",
    )
    shopify_api_key: str | None = Field(default=None, description="The app's client id, for OAuth.")
    shopify_api_secret: SecretStr | None = Field(
        default=None, description="The app's secret: it signs webhooks and the queries of OAuth."
    )
    shopify_api_secret_previous: SecretStr | None = Field(
        default=None, description="The secret before, while the app's is being rotated."
    )
    shopify_scopes: str = Field(
        default="read_all_orders,read_customer_merge,read_customers,read_orders,read_products",
        description="The access scopes that a store is asked for when it connects by OAuth.",
    )
    shopify_url_template: str = Field(
        default="https://{handle}.myshopify.com",
        description="Where stores that connect by OAuth are; another one only on loopback, for development.",
    )
    public_url: str | None = Field(default=None, description="Where Shopify and merchants reach the gateway.")
    gateway_port: int = Field(default=8710, ge=0, le=65535, description="Where `xeno gateway serve` listens.")
    insights_port: int = Field(default=8720, ge=0, le=65535, description="Where `xeno insights serve` listens.")
    insights_requests_per_minute: int = Field(
        default=600, ge=1, description="How many requests of the API a key may make in a minute."
    )
    alert_email_to: str | None = Field(default=None, description="Addresses that alerts go to, comma separated.")
    alert_email_from: str | None = Field(default=None, description="The address that alerts come from.")
    smtp_url: SecretStr | None = Field(default=None, description="The mail server: smtp(s)://user:password@host:port.")
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="An incoming webhook of Slack or of what is compatible, which alerts are posted to."
    )
    inbox_days: int = Field(default=30, ge=1, description="How long finished webhooks are remembered.")
    run_days: int = Field(default=30, ge=1, description="How long Dagster's finished runs and their events are kept.")
    events_quiet_seconds: float = Field(
        default=20, ge=0, le=3600, description="After how long without a webhook a run that takes them ends."
    )
    events_run_minutes: float = Field(
        default=4, ge=0, le=60, description="After how long such a run ends with its batch, whatever is due."
    )
    sandbox_port: int = Field(default=8700, description="Where `xeno sandbox serve` and the demo listen.")
    dagster_port: int = Field(default=3000, description="Where `xeno dev` serves the Dagster UI.")
    dagster_url: str | None = Field(
        default=None, description="Where operators reach the Dagster UI: the dashboard links there."
    )
    owners: str | None = Field(
        default=None, description="Owners of the assets in Dagster: e-mail addresses or `team:name`, comma separated."
    )
    source_url: str | None = Field(
        default=None, description="Where a browser finds the source: https://github.com/you/xeno-pipeline/blob/main."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value != ""}

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @property
    def owner_list(self) -> list[str]:
        """The owners of the assets in Dagster."""
        return [owner.strip() for owner in (self.owners or "").split(",") if owner.strip()]

    @property
    def exports_folder(self) -> Path:
        """Where files about customers lie, for merchants to hand on."""
        return self.home / "exports"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        UsageError: a variable holds a value that is not of its kind.
    """
    folder = Path(os.environ.get("XENO_SECRETS_DIR") or _SECRETS_DIR)
    try:
        return Settings(_secrets_dir=folder if folder.is_dir() else None)
    except ValidationError as error:
        problems = "; ".join(f"XENO_{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors())
        raise UsageError(f"The environment (or .env) has a setting that cannot be used: {problems}.") from None
