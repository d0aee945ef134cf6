"""Parameters that several operations have."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from xeno_pipeline.insights.paging import DEFAULT_LIMIT, MAX_LIMIT, usable_text
from xeno_pipeline.insights.periods import FIRST_DAY, LAST_DAY

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_ID = 2**63 - 1


def _iso_day(value: Any) -> Any:
    if isinstance(value, str) and not _DAY.fullmatch(value):  # pydantic takes numbers too, as seconds since 1970
        raise ValueError("write a day like 2026-01-31")
    return value


def _within_years(day: date) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"choose a day from {FIRST_DAY} to {LAST_DAY}")
    return day


def _storable(text: str) -> str:
    try:
        return usable_text(text)
    except ValueError:
        raise ValueError("leave out characters that no text has, such as NUL") from None


Day = Annotated[
    date,
    BeforeValidator(_iso_day),
    AfterValidator(_within_years),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]}),
]
Text = Annotated[str, AfterValidator(_storable)]

From = Annotated[Day | None, Query(alias="from", description="The first day, in the shop's time zone.")]
To = Annotated[Day | None, Query(alias="to", description="The last day, which is part of the period.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page at most.")]
Cursor = Annotated[Text | None, Query(max_length=1_000, description="`next` of the page before.")]
Ranks = Annotated[int, Query(ge=1, le=100, description="How many.")]
Id = Annotated[int, Path(ge=1, le=MAX_ID)]

DEFAULT_PAGE = DEFAULT_LIMIT
