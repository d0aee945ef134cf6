"""`xeno gateway`: the web process that receives webhooks."""

from __future__ import annotations

from typing import Annotated

import typer

from xeno_pipeline.cli.arguments import MetricsPort

app = typer.Typer(no_args_is_help=True, help="The web process that receives webhooks.")


@app.callback()
def gateway() -> None:
    """The web process that Shopify's webhooks come to."""


@app.command("serve")
def gateway_serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.")] = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Take webhooks at /webhooks/shopify until interrupted; /healthz, /readyz and /metrics tell how it is."""
    from xeno_pipeline.gateway.server import serve
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    serve(settings, host, settings.gateway_port if port is None else port, metrics_port)
