"""The languages of the pages: catalogues of texts in `texts/*.po`, and which of them somebody reads.

English is what the pages are written in. Another language is another catalogue; what it leaves out stays English.
"""

from __future__ import annotations

import gettext
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "texts"
ENGLISH = "en"


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, English first."""
    return (ENGLISH, *sorted(path.stem for path in FOLDER.glob("*.po")))


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The texts of a language."""
    if language not in languages() or language == ENGLISH:
        return gettext.NullTranslations()
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose_locale(chosen: str | None, accepted: str) -> Locale:
    """The locale of whoever reads.

    Args:
        chosen: the language that they chose; None without a choice.
        accepted: what their browser asks for (RFC 9110, Accept-Language).
    """
    wanted = [tag for _, tag in sorted(_weighted(accepted), key=lambda each: -each[0])]
    if chosen in languages():
        wanted = [tag for tag in wanted if tag.partition("-")[0].lower() == chosen] + [chosen]
    for tag in wanted:
        if tag.partition("-")[0].lower() in languages():
            try:
                return Locale.parse(tag, sep="-")
            except (ValueError, UnknownLocaleError):
                continue
    return Locale(ENGLISH)


def _weighted(accepted: str) -> list[tuple[float, str]]:
    found = []
    for part in accepted[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            found.append((float(weight or 1), tag))
        except ValueError:
            continue
    return found
