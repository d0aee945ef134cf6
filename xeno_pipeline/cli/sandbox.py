"""`xeno sandbox`: local stores that answer as Shopify does. They are a package of their own, `shopify_sandbox/`."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from xeno_pipeline.errors import XenoError

app = typer.Typer(no_args_is_help=True, help="Local stores that answer as Shopify's Admin API does.")


class SandboxMissingError(XenoError):
    """The package of the sandbox stores is not installed."""


def require_sandbox(command: str) -> None:
    """Check that the sandbox stores are installed: the production image has none.

    Raises:
        SandboxMissingError: they are not.
    """
    if find_spec("shopify_sandbox") is None:
        raise SandboxMissingError(
            f"`{command}` needs the sandbox stores, which are not installed: run `make install` in a checkout of "
            "xeno-pipeline, or `pip install ./shopify_sandbox` there."
        )


@app.callback()
def sandbox() -> None:
    """Keep `serve` a command of its own, although it is the only one."""


@app.command(
    "serve", add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def sandbox_serve(context: typer.Context) -> None:
    """Serve stores until interrupted; `--help` lists the options, which are those of `python -m shopify_sandbox`."""
    require_sandbox("xeno sandbox serve")
    from shopify_sandbox.__main__ import main as serve
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    state_dir = settings.home / "sandbox"
    raise typer.Exit(serve(context.args, name="xeno sandbox serve", port=settings.sandbox_port, state_dir=state_dir))
