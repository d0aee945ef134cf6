"""Charts: what `charts.js` draws, as data; and the small ones that are drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

_WIDTH, _HEIGHT, _MARGIN = 120, 32, 2


def chart_data(
    labels: Sequence[str],
    series: Sequence[dict[str, Any]],
    *,
    links: Sequence[str | None] = (),
    values_as: str = "number",
    currency: str | None = None,
    language: str,
) -> str:
    """The JSON of a chart.

    Args:
        labels: what stands below each place.
        series: each with `name`, `kind` (bar or line), `values`, their `texts`, and `quiet` for what is compared with,
            `good` for what is welcome.
        links: where a click on each place leads.
        values_as: `money`, `percent` or `number`, for the axis.
    """
    data = {
        "labels": list(labels),
        "series": list(series),
        "links": list(links),
        "format": {"style": values_as, "currency": currency, "locale": language},
    }
    return orjson.dumps(data, default=_plain).decode()


def sparkline(values: Sequence[Decimal | int | None]) -> str | None:
    """The points of a small line; None where there are too few to make one."""
    known = [float(value or 0) for value in values]
    if len(known) < 3 or max(known) == min(known):
        return None
    low, high = min(*known, 0.0), max(known)
    step = (_WIDTH - 2 * _MARGIN) / (len(known) - 1)
    points = (
        (_MARGIN + number * step, _HEIGHT - _MARGIN - (value - low) / (high - low) * (_HEIGHT - 2 * _MARGIN))
        for number, value in enumerate(known)
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)  # as near as a pixel needs; the texts are exact
    raise TypeError
