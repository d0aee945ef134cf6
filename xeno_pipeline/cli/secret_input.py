"""Secrets for commands: piped in, or typed at a prompt."""

from __future__ import annotations

import sys

import typer

from xeno_pipeline.errors import UsageError


def read_token(option: str | None, api_url: str | None) -> str:
    """The access token: from standard input, or asked for; never from the command line, where others see it."""
    from xeno_pipeline.settings import SANDBOX_TOKEN
    from xeno_pipeline.shopify.transport import is_loopback

    if option is None and api_url is not None and is_loopback(api_url):
        return SANDBOX_TOKEN
    return read_or_ask(option, "token", "Access token")


def read_or_ask(option: str | None, kind: str, prompt: str) -> str:
    """A secret that is piped in; without an option it is asked for where somebody sits at a terminal."""
    if option is None and sys.stdin.isatty():
        secret: str = typer.prompt(prompt, hide_input=True)
        return secret.strip()
    return read_secret(option or "-", kind)


def read_secret(option: str, kind: str) -> str:
    """A secret that is piped in; never from the command line, where others see it."""
    if option != "-":
        raise UsageError(f"A {kind} on the command line can be seen by others: pipe it in with `--{kind} -`.")
    secret = sys.stdin.readline().strip()
    if not secret:
        raise UsageError(f"No {kind} was given: pipe it in with `--{kind} -`.")
    return secret
