"""How dark a cell of a grid is: eight steps, for which the style sheet has colours."""

from __future__ import annotations

from decimal import Decimal

_STEPS = 8


def heat(value: Decimal | None, most: Decimal | None) -> str:
    """The class of a cell: `h0` where there is nothing, `h7` for the most."""
    if value is None or most is None or value <= 0 or most <= 0:
        return "h0"
    return f"h{min(_STEPS - 1, max(1, int(value / most * _STEPS)))}"
