"""Arguments that several commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from xeno_pipeline.errors import UsageError

if TYPE_CHECKING:
    from xeno_pipeline.defs.resources import Pipeline

Handle = Annotated[str, typer.Argument(help="The store's handle: `acme` of acme.myshopify.com.")]
Handles = Annotated[list[str] | None, typer.Argument(help="Handles of stores; without any, all active ones.")]
TokenOption = Annotated[
    str | None, typer.Option("--token", help="`-` reads the token from standard input; otherwise you are prompted.")
]

MetricsPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Where /metrics is, instead of at the port that is public.")
]


def active_handles(pipeline: Pipeline, tenants: list[str] | None) -> list[str]:
    """The handles of the active tenants that a command is about; wrong ones are refused before anything starts."""
    from xeno_pipeline.tenants import registry

    with pipeline.database.connect() as connection:
        active = registry.active(connection, tenants or [])
    if not active:
        raise UsageError("There are no active tenants: `xeno tenant add` connects a store.")
    return [tenant.tenant_id for tenant in active]
