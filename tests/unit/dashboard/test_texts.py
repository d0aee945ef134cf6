"""Every text of the pages is in each catalogue, with the same values in it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.update_texts import merged
from xeno_pipeline.dashboard.texts import ENGLISH, languages, translations

_VALUE = re.compile(r"%\(\w+\)s")


@pytest.mark.parametrize("language", [code for code in languages() if code != ENGLISH])
def test_a_language_has_every_text(language: str) -> None:
    catalogue = merged(language)
    texts = [message for message in catalogue if message.id]
    assert len(texts) > 100
    missing = [text.id for text in texts if not text.string or not all(_forms(text.string))]
    assert missing == [], "python -m scripts.update_texts adds them to the catalogue; translate them there"
    for text in texts:
        for written, meant in zip(_forms(text.string), _forms(text.id), strict=True):
            assert set(_VALUE.findall(written)) == set(_VALUE.findall(meant)), meant
            assert "%" not in _VALUE.sub("", written), "a page would read it as a value"


def _forms(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def test_a_translation_is_used_and_the_rest_stays_english() -> None:
    assert translations("de").gettext("Net sales") == "Nettoumsatz"
    assert translations("de").ngettext("%(num)s order", "%(num)s orders", 2) == "%(num)s Bestellungen"
    assert translations("de").gettext("never written") == "never written"
    assert translations("xx").gettext("Net sales") == "Net sales"
