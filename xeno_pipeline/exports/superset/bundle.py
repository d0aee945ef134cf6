"""The ZIP that Superset's `POST /api/v1/assets/import/` takes; made of the contract alone, without Superset."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence

import yaml  # type: ignore[import-untyped]

from xeno_pipeline.database.roles import Address
from xeno_pipeline.errors import UsageError
from xeno_pipeline.exports.contract import read_marts
from xeno_pipeline.exports.superset.assets import (
    VERSION,
    Asset,
    Names,
    chart_asset,
    dashboard_asset,
    database_asset,
    dataset_asset,
)
from xeno_pipeline.exports.superset.dashboard import ROWS, metrics_of
from xeno_pipeline.tenants.registry import Tenant


class NoRoleError(UsageError):
    """The role that Superset is to log in as does not exist, or is not clear."""


_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the ZIP: two bundles of the same contract are equal."""


def database_file(tenant_id: str) -> str:
    """The file of the database in the bundle: the name by which Superset takes its password."""
    return f"databases/{tenant_id}.yaml"


def choose_role(tenant_id: str, roles: Sequence[str], wanted: str | None) -> str:
    """The role that Superset is to log in as: the one that is wanted, or the only one.

    Raises:
        NoRoleError: the tenant has no such role, none, or several to choose from.
    """
    if wanted is None and len(roles) == 1:
        return roles[0]
    if wanted in roles:
        return str(wanted)
    if not roles:
        raise NoRoleError(f"{tenant_id} has no role for BI tools yet: `xeno tenant bi-role {tenant_id}` creates one.")
    which = "has several roles for BI tools" if wanted is None else f"has no role {wanted[:100]!r}"
    raise NoRoleError(f"{tenant_id} {which}: give one of {', '.join(roles)} as --role.")


def make_bundle(tenant: Tenant, address: Address, role: str) -> bytes:
    """The bundle of a tenant.

    Args:
        tenant: whose marts they are.
        address: where its BI tool connects.
        role: the login of its BI tool; the password is given to Superset with the import.

    Returns:
        The ZIP.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, asset in _assets(tenant, address, role):
            file = zipfile.ZipInfo(f"xeno-{tenant.tenant_id}/{name}", _EPOCH)
            file.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(file, yaml.safe_dump(asset, sort_keys=False, allow_unicode=True))
    return content.getvalue()


def _assets(tenant: Tenant, address: Address, role: str) -> Iterator[tuple[str, Asset]]:
    """The files and what is in them."""
    names = Names(tenant.tenant_id)
    title = f"{tenant.name} ({tenant.tenant_id})"
    yield "metadata.yaml", {"version": VERSION, "type": "assets", "timestamp": "1980-01-01T00:00:00+00:00"}
    yield database_file(tenant.tenant_id), database_asset(names, title, address, role)
    for mart in read_marts().values():
        asset = dataset_asset(names, mart, metrics_of(mart.name), tenant.currency)
        yield f"datasets/{tenant.tenant_id}/{mart.name}.yaml", asset
    for number, chart in enumerate(chart for row in ROWS for chart in row):
        yield f"charts/{number:02}_{chart.mart}.yaml", chart_asset(names, chart)
    yield "dashboards/overview.yaml", dashboard_asset(names, title, ROWS)
