"""Columns of one kind of object, kept current: which rows exist, in which order, and where an id is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shopify_sandbox.state.source import Columns

Rows = NDArray[np.int64]


class Table:
    """The rows of a source, in its order, and after them those added since."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.source_rows = len(columns["id"])
        self.alive = np.ones(self.source_rows, dtype=np.bool_)
        self.changed = np.zeros(self.source_rows, dtype=np.bool_)
        """Rows whose object is in the overlay."""
        self._orders: dict[str, Rows] = {}

    def sorted_by(self, column: str) -> Rows:
        """All rows (deleted ones too), by a column and then by id."""
        order = self._orders.get(column)
        if order is None:
            keys = self.columns[column]
            order = np.argsort(keys, kind="stable") if column == "id" else np.lexsort((self.columns["id"], keys))
            self._orders[column] = order
        return order

    def row(self, number: int) -> int | None:
        """The row of an object that exists, by its id."""
        row = self._find(number)
        return row if row is not None and self.alive[row] else None

    def _find(self, number: int) -> int | None:
        order = self.sorted_by("id")
        ids = self.columns["id"]
        at = int(np.searchsorted(ids, number, sorter=order))
        if at < len(order) and ids[order[at]] == number:
            return int(order[at])
        return None

    def having(self, column: str, value: int) -> Rows:
        """The existing rows with a value in a column."""
        order = self.sorted_by(column)
        keys = self.columns[column]
        first = np.searchsorted(keys, value, "left", sorter=order)
        rows = order[first : np.searchsorted(keys, value, "right", sorter=order)]
        return rows[self.alive[rows]]

    def put(self, number: int, values: Mapping[str, int | bool]) -> None:
        """Take over the columns of an object that was changed or added."""
        row = self._find(number)
        if row is None:
            row = len(self.alive)
            self.columns = {name: np.append(array, array.dtype.type(0)) for name, array in self.columns.items()}
            self.alive = np.append(self.alive, False)
            self.changed = np.append(self.changed, False)
            self._orders.clear()
        self.alive[row] = self.changed[row] = True
        for name, value in values.items():
            if self.columns[name][row] != value:
                self.columns[name][row] = value
                self._orders.pop(name, None)

    def remove(self, number: int) -> None:
        """Record that an object was deleted."""
        row = self._find(number)
        if row is not None:
            self.alive[row] = False

    def __len__(self) -> int:
        return int(self.alive.sum())
