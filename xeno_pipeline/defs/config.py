"""The run configuration of assets and jobs, as the Launchpad shows it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of configuration at run time.

from collections.abc import Sequence
from datetime import date

import dagster as dg
from pydantic import Field

from xeno_pipeline.errors import UsageError
from xeno_pipeline.extraction.sync import SyncRequest

_ACCEPT_DELETIONS = (
    "Mark objects that Shopify no longer has as deleted, however many they are. By default a run that finds more than "
    "one per cent of them missing stops instead."
)


class TenantsConfig(dg.Config):
    """The tenants of a run."""

    tenants: list[str] = Field(default_factory=list, description="Handles of tenants. Empty: all active tenants.")


class SyncConfig(dg.Config):
    """How to read the tenants of a run."""

    full: bool = Field(
        default=False, description="Read the whole history again, and mark what Shopify no longer has as deleted."
    )
    accept_deletions: bool = Field(default=False, description=_ACCEPT_DELETIONS)
    since: str | None = Field(
        default=None,
        description="With `full`: only objects created on or after this day in the shop's time zone (YYYY-MM-DD).",
    )
    until: str | None = Field(
        default=None,
        description="With `full`: only objects created on or before this day in the shop's time zone (YYYY-MM-DD).",
    )

    def request(self, streams: Sequence[str]) -> SyncRequest:
        """What to read of those streams.

        Raises:
            UsageError: `since` or `until` is not a date.
        """
        return SyncRequest(streams, self.full, self.accept_deletions, parse_date(self.since), parse_date(self.until))


class TransformConfig(dg.Config):
    """How to transform the tenants of a run."""

    as_of: str | None = Field(
        default=None,
        description="The day to take as today (YYYY-MM-DD). Default: today in each shop's time zone.",
    )
    rebuild: bool = Field(
        default=False, description="Rebuild every row of the tenants' marts, whether or not its source changed."
    )


class ExtractConfig(TenantsConfig, SyncConfig):
    """Which tenants to read, and how."""

    streams: list[str] = Field(default_factory=list, description="Names of streams to read. Empty: all streams.")
    transform: bool = Field(default=True, description="Update the marts afterwards.")


class ReconcileConfig(TenantsConfig):
    """Which tenants to compare with Shopify, and how thoroughly."""

    full: bool = Field(default=False, description="Compare all ids, even where the counts agree.")
    accept_deletions: bool = Field(default=False, description=_ACCEPT_DELETIONS)


class BuildConfig(TenantsConfig, TransformConfig):
    """Which tenants' marts to update, and how."""

    test: bool = Field(default=False, description="Run the dbt tests as well.")
    only_due: bool = Field(default=True, description="Skip tenants whose marts are up to date.")


class PrivacyConfig(dg.Config):
    """The privacy requests of a run."""

    requests: list[int] = Field(default_factory=list, description="Ids of privacy requests. Empty: all that are due.")


def parse_date(text: str | None) -> date | None:
    """The date that a user wrote.

    Raises:
        UsageError: it is not a date.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is not a date: write it as 2026-06-30.") from None
