"""Pages from templates."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from xeno_pipeline.dashboard.static_files import StaticFiles
from xeno_pipeline.dashboard.texts import translations

FOLDER = Path(__file__).parent / "templates"
STATIC_PREFIX = "/static"


@cache
def static_files() -> StaticFiles:
    """The static files, read once a process."""
    return StaticFiles(STATIC_PREFIX)


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals["translated"] = translations(language).gettext  # for texts that are no templates of values
    environment.globals["static"] = static_files().url
    return environment


def render(template: str, language: str, **values: Any) -> str:
    """A template with its values, in a language."""
    numbers = count(1)
    return (
        _environment(language)
        .get_template(template)
        .render(language=language, new_id=lambda prefix="x": f"{prefix}{next(numbers)}", **values)
    )


def respond(template: str, language: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The response of a page."""
    return HTMLResponse(render(template, language, **values), status, headers={"Content-Language": language})
