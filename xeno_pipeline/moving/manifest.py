"""What an archive says of itself: whose it is, of which version, what is in it; and what is too small for a table."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from xeno_pipeline.tenants.registry import HANDLE, Tenant


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class ArchivedTable(_Part):
    """The rows of one table, as COPY writes them in its text format, without the tenant.

    Args:
        name: with its schema.
        sha256: of the rows, in hexadecimal.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class Credentials(_Part):
    """The tenant's access token: see `tenants.grants.Grant`."""

    kind: str
    token: bytes = Field(repr=False)
    refresh_token: bytes | None = Field(default=None, repr=False)
    expires_at: datetime | None = None


class OwnApp(_Part):
    """An app of the tenant's own."""

    client_id: str | None
    secret: bytes = Field(repr=False)


class ArchivedRole(_Part):
    """A role of a BI tool.

    Args:
        verifier: of its password; None where the database did not show it.
    """

    name: str
    tool: str
    verifier: bytes | None = Field(default=None, repr=False)


class Access(_Part):
    """What a person or a key may do in the store.

    Args:
        name: the e-mail address, or the key's name.
        secret_hash: of a key's secret; None for a person.
        role: of a person.
        expires_at: of a key.
    """

    name: str
    secret_hash: bytes | None = Field(default=None, repr=False)
    role: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None


class Registration(_Part):
    """The tenant's row in the registry, with the status that it had before it began to move."""

    shop_domain: str
    api_url: str
    name: str
    currency: str
    iana_timezone: str
    plan: str
    access_scopes: tuple[str, ...]
    status: Literal["active", "suspended"]
    created_at: datetime
    connected_at: datetime
    monthly_points: int | None

    def tenant(self, tenant_id: str, shop_gid: str) -> Tenant:
        """As the registry knows it."""
        facts = self.model_dump(exclude={"created_at", "connected_at", "monthly_points"})
        return Tenant(tenant_id=tenant_id, shop_gid=shop_gid, **facts)


class Manifest(_Part):
    """What is in an archive.

    Args:
        format: of the archive; what is in its tables is told by the version of the schema.
        kind: everything of a tenant; or the rest, which came after it had been exported.
        product: the version of the package that wrote it, for people.
        schema_version: the revision of the database that the rows are of.
        registration: of an archive of everything.
        app_client_id: of the installation's app at Shopify, which issued the token if the tenant has no app of its own.
    """

    format: Literal[1] = 1
    kind: Literal["tenant", "rest"]
    product: str
    schema_version: str
    exported_at: datetime
    tenant_id: Annotated[str, Field(pattern=f"^{HANDLE.pattern}$")]
    shop_gid: str
    tables: tuple[ArchivedTable, ...]
    registration: Registration | None = None
    credentials: Credentials | None = None
    own_app: OwnApp | None = None
    bi_roles: tuple[ArchivedRole, ...] = ()
    access: tuple[Access, ...] = ()
    app_client_id: str | None = None
