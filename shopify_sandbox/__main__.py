"""`python -m shopify_sandbox`: serve stores from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from shopify_sandbox.buyers import Buyers
from shopify_sandbox.server import StoreSpec, demo_specs, serve

Value = TypeVar("Value")

_OPTIONS = {
    "generate": "ORDERS",
    "orders-csv": "FILE",
    "buyers": "CUSTOMERS[,NAME=NUMBER...]",
    "currency": "CODE",
    "timezone": "ZONE",
    "seed": "NUMBER",
    "until": "TIME",
    "plan": "NAME",
    "taxes-included": "true|false",
    "scopes": "SCOPE,...",
    "token": "TOKEN",
}

_HELP = {
    "generate": "a store with that many generated orders",
    "orders-csv": "a store read from a file of order lines (CSV, also gzipped)",
    "buyers": "a store with that many customers whose orders are drawn from MBG/NBD and Gamma-Gamma: their parameters "
    "(r, alpha in days, a, b; p, q, v) and the days of history, such as acme=5000,r=0.5,days=730",
    "currency": "its currency; default: USD",
    "timezone": "its time zone; default: UTC",
    "seed": "another seed generates another history",
    "until": "when generated history ends, in ISO 8601; without HANDLE=, for all generated stores",
    "plan": "its Shopify plan, which sets how fast API points are restored",
    "taxes-included": "whether its prices include taxes",
    "scopes": "the access scopes of its token",
    "token": "its access token",
}


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time, such as 2026-06-30T00:00:00Z.") from None


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


_FACTS: dict[str, Callable[[str], Any]] = {
    "currency": str,
    "timezone": str,
    "seed": int,
    "until": _time,
    "plan": str,
    "taxes-included": _truth,
    "scopes": _listed,
    "token": str,
}


def main(
    arguments: list[str] | None = None,
    *,
    name: str = "shopify-sandbox",
    port: int = 8700,
    state_dir: Path = Path("sandbox-state"),
) -> int:
    """Serve until interrupted; where that is impossible, print one sentence on standard error.

    Args:
        arguments: Those of the command line, unless they are given here.
        name: What the command is called in its help.
        port: The default of `--port`.
        state_dir: The default of `--state-dir`.

    Returns:
        The exit code: 2 for options that cannot be used.
    """
    options = vars(_parser(name, port, state_dir).parse_args(arguments))
    try:
        specs = stores(**{option: options[option.replace("-", "_")] for option in _OPTIONS})
        serve(specs, options["state_dir"], options["host"], options["port"], on_ready=announce)
    except (ValueError, OSError) as problem:
        print(_sentence(problem, options["port"]), file=sys.stderr)
        return 2
    return 0


def _parser(name: str, port: int, state_dir: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description="Serve stores until interrupted: generated ones, ones read from a file of order lines, or, "
        "without either, three demo stores. Options with a HANDLE may be repeated.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: %(default)s")
    parser.add_argument("--port", type=int, default=port, help="0 takes a free port; default: %(default)s")
    parser.add_argument("--state-dir", type=Path, default=state_dir, help="where stores keep their changes")
    for option, value in _OPTIONS.items():
        parser.add_argument(f"--{option}", action="append", default=[], metavar=f"HANDLE={value}", help=_HELP[option])
    return parser


def stores(**options: list[str]) -> list[StoreSpec]:
    """The stores that command line options ask for; the demo's without any.

    Args:
        options: By option (`orders-csv`), its values: each `HANDLE=VALUE`. A value of `until` without a handle
            goes for all generated stores.

    Raises:
        ValueError: In one sentence, for an option that cannot be.
    """
    made: dict[str, dict[str, Any]] = {}
    for handle, orders in _pairs("generate", options, int).items():
        made[handle] = {"orders": orders}
    for source, read_source in (("orders-csv", Path), ("buyers", Buyers.parse)):
        for handle, value in _pairs(source, options, read_source).items():
            if handle in made:
                raise ValueError(f"Store {handle} cannot be more than one of generated, drawn and read from a file.")
            made[handle] = {source.replace("-", "_"): value}
    for option, read in _FACTS.items():
        everywhere = [value for value in options.get(option, []) if option == "until" and "=" not in value]
        for handle in made if everywhere else ():
            made[handle][option] = _time(everywhere[-1])
        single = {option: [value for value in options.get(option, []) if value not in everywhere]}
        for handle, value in _pairs(option, single, read).items():
            if handle not in made:
                raise ValueError(f"--{option} is of the store {handle}, which is neither generated nor read.")
            made[handle][option.replace("-", "_")] = value
    return [StoreSpec(handle, **facts) for handle, facts in made.items()] or demo_specs()


def _pairs(option: str, options: dict[str, list[str]], read: Callable[[str], Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for value in options.get(option, []):
        handle, _, text = value.partition("=")
        try:
            found[handle] = read(text)
        except (KeyError, ValueError):
            text = ""
        if not (handle and text):
            raise ValueError(f"--{option} {value!r} is not of the form HANDLE={_OPTIONS[option]}.")
    return found


def announce(listing: list[dict[str, Any]]) -> None:
    """Print one line a store, and `ready`."""
    for store in listing:
        print(f"{store['handle']}  {store['api_url']}  token {store['token']}  {store['orders']:,} orders")
    print("ready", flush=True)


def _sentence(problem: Exception, port: int) -> str:
    if isinstance(problem, OSError) and problem.errno is not None and "in use" in str(problem):
        return f"Port {port} is in use: stop what listens there, or choose another with --port."
    if isinstance(problem, FileNotFoundError):
        return f"There is no file {problem.filename}."
    return str(problem)


if __name__ == "__main__":
    sys.exit(main())
