"""Small charts in Markdown: Dagster's UI shows up to `MAX_INLINE_LENGTH` characters inline, and more behind a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

MAX_INLINE_LENGTH = 999

_HEIGHT = 99  # two digits for each of many bars
_HUE = "#4f43dd"
_SHADES = "░▒▓█"
_UNBROKEN = str.maketrans({" ": "\N{NO-BREAK SPACE}", "-": "\N{NON-BREAKING HYPHEN}"})  # for narrow columns


def bars(title: str, values: Sequence[float]) -> str:
    """An image with a bar for each value, negative ones downwards; up to about 120 of them are not too long.

    Args:
        title: what it shows.
        values: at least one.
    """
    top, bottom = max(*values, 0.0), min(*values, 0.0)
    scale = _HEIGHT / ((top - bottom) or 1.0)
    zero = round(top * scale)
    outline = "".join(f"V{round((top - value) * scale)}h1" for value in values)
    return _image(
        title,
        f"width='640' height='120' viewBox='0 0 {len(values)} {_HEIGHT}' preserveAspectRatio='none'>"
        f"<path fill='{_HUE}' d='M0 {zero}{outline}V{zero}z'/>",
    )


def against_diagonal(title: str, points: Sequence[tuple[float, float]], end: float) -> str:
    """An image of points beside the diagonal, on which what is across equals what is up.

    Args:
        title: what it shows.
        points: how far each is across, and up.
        end: where both axes end; they begin at 0.
    """
    dots = "".join(f"M{round(_HEIGHT * across / end)} {round(_HEIGHT * (1 - up / end))}h0" for across, up in points)
    return _image(
        title,
        f"width='240' height='240' viewBox='-4 -4 107 107' fill='none'><path stroke='#999' d='M0 0v99h99M0 99L99 0'/>"
        f"<path stroke='{_HUE}' stroke-width='6' stroke-linecap='round' d='{dots}'/>",
    )


def _image(title: str, svg: str) -> str:
    """An image in Markdown, of an SVG without its first words and its last."""
    whole = quote(f"<svg xmlns='http://www.w3.org/2000/svg' {svg}</svg>", safe="=:/'")
    return f"![{title}](data:image/svg+xml,{whole})"


def grid(columns: Sequence[str], rows: Sequence[str], values: Mapping[tuple[int, int], tuple[float, str]]) -> str:
    """A table of cells, each with a mark that is darker for a larger value.

    Args:
        columns: their labels.
        rows: their labels.
        values: by row and column, counted from 0, a value and its text.
    """
    largest = max((value for value, _ in values.values()), default=0.0) or 1.0

    def cell(position: tuple[int, int]) -> str:
        if position not in values:
            return ""
        value, text = values[position]
        shade = _SHADES[min(int(value / largest * len(_SHADES)), len(_SHADES) - 1)]
        return f"{shade} {text}".translate(_UNBROKEN)

    lines = [
        ["", *columns],
        ["-", *("-:" for _ in columns)],
        *(
            [label.translate(_UNBROKEN), *(cell((row, column)) for column in range(len(columns)))]
            for row, label in enumerate(rows)
        ),
    ]
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)
