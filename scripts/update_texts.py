"""Bring the dashboard's catalogues up to date: `python -m scripts.update_texts`; what they leave out is English.

Texts are in templates (`_("…")`), in Python (`.text("…")`, `N_("…")`) and, for what figures mean, in descriptions of
columns of the marts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from xeno_pipeline.dashboard.definitions import EXPLAINED
from xeno_pipeline.dashboard.texts import FOLDER
from xeno_pipeline.segments.starters import STARTERS
from xeno_pipeline.settings import PROJECT_DIR

PACKAGE = PROJECT_DIR / "xeno_pipeline" / "dashboard"
MODELS = PROJECT_DIR / "dbt_project" / "models"
_DOCS = re.compile(r"{% docs (\w+) %}\n(.+?)\n{% enddocs %}", re.DOTALL)
_DOC = re.compile(r"{{ doc\('(\w+)'\) }}")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "text": None, "N_": None}


def texts() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """All texts, with the file that each is in."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"trimmed": "true", "encoding": "utf-8", "silent": "false"}}
    for file, _line, message, _comments, _context in extract_from_dir(
        PACKAGE, methods, options_map=options, keywords=KEYWORDS
    ):
        yield message, file
    for starter in STARTERS:
        yield from ((text, "starters.py") for text in (starter.name, starter.description))
    described = (MODELS / "columns.md").read_text()
    docs = {name: " ".join(text.split()) for name, text in _DOCS.findall(described)}
    for mart, columns in EXPLAINED.items():
        [path] = MODELS.glob(f"marts/**/{mart}.yml")
        [model] = yaml.safe_load(path.read_text())["models"]
        descriptions = {column["name"]: column["description"] for column in model["columns"]}
        for column in columns:
            reference = _DOC.fullmatch(descriptions[column])
            yield docs[reference[1]] if reference else descriptions[column], path.name


def merged(language: str) -> Catalog:
    """A language's catalogue with all texts, and without those that are no more."""
    path = FOLDER / f"{language}.po"
    template = Catalog(project="xeno-pipeline", charset="utf-8")
    for message, file in texts():
        template.add(message, locations=[(file, 0)])
    catalogue = Catalog(locale=language)
    if path.exists():
        with path.open("rb") as opened:
            catalogue = read_po(opened, locale=language)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def main() -> int:
    """Returns the exit code."""
    for path in sorted(FOLDER.glob("*.po")) or [FOLDER / "de.po"]:
        catalogue = merged(path.stem)
        with Path(path).open("wb") as file:
            write_po(file, catalogue, no_location=True, omit_header=True, sort_output=True, width=120)
        missing = [message.id for message in catalogue if message.id and not message.string]
        sys.stdout.write(f"{path.name}: {len(catalogue)} texts, {len(missing)} not translated\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
