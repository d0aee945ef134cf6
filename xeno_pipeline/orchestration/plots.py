"""Small plots as SVG in a Markdown image: a plotting library would take longer to import than all of them to draw."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 720, 200, 24
_CELL_WIDTH, _CELL_HEIGHT = 56, 24
_INK, _HUE = "#333", "79,67,221"


def bars(title: str, values: Sequence[float], first: str, last: str) -> str:
    """A bar for each value, negative ones downwards; the ends of the axis and the largest value are labelled.

    Args:
        title: what it shows.
        values: at least one.
        first: the label of the first one.
        last: the label of the last one.
    """
    top, bottom = max(*values, 0.0), min(*values, 0.0)
    scale = (_HEIGHT - 2 * _MARGIN) / ((top - bottom) or 1.0)
    zero, width = _MARGIN + top * scale, _WIDTH / len(values)
    marks = "".join(
        f"M{index * width:.1f} {zero:.0f}v{-value * scale:.1f}h{width * 0.8:.1f}v{value * scale:.1f}z"
        for index, value in enumerate(values)
        if value
    )
    return _image(
        title,
        _WIDTH,
        _HEIGHT,
        f'<path d="{marks}" fill="rgb({_HUE})"/><path d="M0 {zero:.0f}h{_WIDTH}" stroke="{_INK}"/>'
        + _text(0, 16, f"{title}; at most {top:,.0f}")
        + _text(0, _HEIGHT - 6, first)
        + _text(_WIDTH, _HEIGHT - 6, last, "end"),
    )


def grid(
    title: str, columns: Sequence[str], rows: Sequence[str], values: Mapping[tuple[int, int], tuple[float, str]]
) -> str:
    """A grid of cells, the darker the larger.

    Args:
        title: what it shows.
        columns: their labels.
        rows: their labels.
        values: by row and column, counted from 0, a value and how it is written.
    """
    largest = max((value for value, _ in values.values()), default=0.0) or 1.0
    left, top = 72, 2 * _MARGIN
    cells = [
        *(_text(left + (n + 0.5) * _CELL_WIDTH, top - 6, label, "middle") for n, label in enumerate(columns)),
        *(_text(0, top + (n + 0.7) * _CELL_HEIGHT, label) for n, label in enumerate(rows)),
    ]
    for (row, column), (value, written) in values.items():
        x, y = left + column * _CELL_WIDTH, top + row * _CELL_HEIGHT
        share = value / largest
        cells.append(
            f'<rect x="{x}" y="{y}" width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" '
            f'fill="rgba({_HUE},{0.08 + 0.8 * share:.2f})"/>'
            + _text(x + _CELL_WIDTH / 2, y + 16, written, "middle", "#fff" if share > 0.6 else _INK)
        )
    width, height = left + len(columns) * _CELL_WIDTH, top + len(rows) * _CELL_HEIGHT
    return _image(title, width, height, _text(0, 16, title) + "".join(cells))


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _image(title: str, width: int, height: int, content: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>{content}</svg>'
    )
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
