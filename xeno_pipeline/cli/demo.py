"""`xeno demo` and `xeno dev`: the sandbox stores and all services, on this machine."""

from __future__ import annotations

import typer

from xeno_pipeline.cli.sandbox import require_sandbox


def demo() -> None:
    """Take three sandbox stores to marts, through Dagster, and print a summary."""
    require_sandbox("xeno demo")
    from xeno_pipeline.demo.tour import give_tour
    from xeno_pipeline.settings import load_settings

    give_tour(load_settings())


def dev() -> None:
    """Serve the Dagster UI and daemon, the gateway and the demo's stores on loopback until interrupted."""
    require_sandbox("xeno dev")
    from xeno_pipeline.demo.dev import serve_dev
    from xeno_pipeline.settings import load_settings

    raise typer.Exit(serve_dev(load_settings()))
