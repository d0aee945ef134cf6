"""The documentation page: every operation and every problem on one page, without a script and without another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from xeno_pipeline.api.problems import Kind

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
:root { color-scheme: light dark; }
h2 { margin-top: 2.5rem; } h3 { margin-top: 2rem; } code { font-size: 0.95em; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; }
"""


def page(openapi: Mapping[str, Any], path: str) -> str:
    """The page as HTML.

    Args:
        openapi: the description of the API.
        path: where the API is mounted.
    """
    return "".join(
        (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(openapi["info"]["title"])}</title>',
            f"<style>{_STYLE}</style><main><h1>{escape(openapi['info']['title'])}</h1>",
            *(f"<p>{escape(line)}</p>" for line in openapi["info"]["description"].strip().splitlines()),
            f'<p>As OpenAPI: <a href="{path}/openapi.json">{path}/openapi.json</a></p>',
            *_operations(openapi, path),
            "<h2>Problems</h2><p>An error is a problem document (RFC 9457) with <code>detail</code> and ",
            "<code>remedy</code>.</p><table><tr><th>status</th><th>problem</th><th>what to do</th></tr>",
            *(
                f'<tr id="{kind.anchor}"><td>{kind.status}</td><td>{escape(kind.title)}</td>'
                f"<td>{escape(kind.remedy)}</td></tr>"
                for kind in Kind
            ),
            "</table></main></html>",
        )
    )


def _operations(openapi: Mapping[str, Any], path: str) -> Iterator[str]:
    tag = None
    for address, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"<h2>{escape(tag[:1].upper() + tag[1:])}</h2>"
            yield f"<h3><code>{method.upper()} {escape(path + address)}</code></h3>"
            yield f"<p>{escape(operation.get('description', ''))}</p>"
            yield from _parameters(operation.get("parameters", []))


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<table>"
    for parameter in parameters:
        about = " ".join(_facts(parameter))
        yield f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(about)}</td></tr>"
    if parameters:
        yield "</table>"


def _facts(parameter: Mapping[str, Any]) -> Iterator[str]:
    schema = parameter["schema"]
    if "description" in parameter:
        yield parameter["description"]
    for kind in schema.get("anyOf", [schema]):
        if "enum" in kind:
            yield f"One of {', '.join(map(str, kind['enum']))}."
    if schema.get("default") is not None:
        yield f"Without it: {schema['default']}."
