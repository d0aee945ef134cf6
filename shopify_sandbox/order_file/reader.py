"""Reads a file of order lines into compact arrays.

The columns are `order_id,line_no,sku,description,quantity,unit_price,customer_id,ordered_at,country`. Texts that
repeat are kept once, numbers in arrays: five million lines take about 150 MB.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from numpy.typing import NDArray

from shopify_sandbox.model.money import PRICE_DECIMALS

COLUMNS = (
    "order_id",
    "line_no",
    "sku",
    "description",
    "quantity",
    "unit_price",
    "customer_id",
    "ordered_at",
    "country",
)
MAX_LINES_PER_ORDER = 4095
_VALUES_KNOWN = 100_000
_LINES_AT_ONCE = 250_000
MAX_ORDER_ID = 2**50
"""Larger ones could not be multiplied into ids of their lines."""

Array = NDArray[Any]


class CsvError(ValueError):
    """What is wrong with a file, and in which line."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}")


class Pool:
    """Distinct texts, each kept once, and numbered as they come."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.texts = list(texts)
        self._numbers = {text: number for number, text in enumerate(self.texts)}

    def number(self, text: str) -> int:
        """The number of a text, a new one for a new text."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def fingerprints(self) -> Array:
        """A 64-bit hash of each text, the same in every file."""
        digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in self.texts)
        return np.frombuffer(digests, dtype="<u8")


def number_of(text: str, limit: int) -> int:
    """The number of an id: itself where it is one below the limit, else one that follows from the text."""
    if text.isdecimal() and text.isascii() and str(int(text)) == text and 0 < int(text) < limit:
        return int(text)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % (limit // 2) + limit // 2


class OrderFile:
    """The lines of a file, by order and line number, and its orders, by the time they were placed."""

    order_id: Array
    order_name: Array
    """Number of the order's own name in `names`."""
    ordered_at: Array
    customer: Array
    """Number of the customer in `customers`; -1 for guests."""
    country: Array
    first_line: Array
    """Position of each order's first line; one more element than there are orders."""
    fingerprint: Array
    """A hash of all that the file says of each order."""
    line_number: Array
    sku: Array
    """Number of the SKU in `skus`; -1 where there is none."""
    description: Array
    quantity: Array
    price: Array
    """In price units."""

    POOLS = ("names", "customers", "skus", "descriptions", "countries")

    def __init__(self, arrays: dict[str, Array], pools: dict[str, Pool]) -> None:
        for name in OrderFile.__annotations__:
            setattr(self, name, arrays[name])
        self.names, self.customers, self.skus, self.descriptions, self.countries = (
            pools[name].texts for name in self.POOLS
        )

    def save(self, folder: Path) -> None:
        """Keep what was read, for the next start and for other processes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in OrderFile.__annotations__:
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / "pools.json").write_bytes(orjson.dumps({name: getattr(self, name) for name in self.POOLS}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map what was kept into memory."""
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in OrderFile.__annotations__}
        pools = orjson.loads((folder / "pools.json").read_bytes())
        return cls(arrays, {name: Pool(texts) for name, texts in pools.items()})

    @classmethod
    def read(cls, path: Path, zone: ZoneInfo) -> Self:
        """Read a file (gzip accepted).

        Args:
            path: The file.
            zone: The shop's, in which its times are.

        Raises:
            CsvError: In one sentence, naming the line.
            OSError: If the file cannot be read.
        """
        reading = _Reading(path, zone)
        with _open(path) as file:
            reading.read(csv.reader(file))
        return cls(*reading.arranged())


@contextmanager
def _open(path: Path) -> Iterator[io.TextIOBase]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if packed
        else path.open(encoding="utf-8-sig", newline="") as text
    ):
        yield text


def _whole(text: str, least: int) -> int:
    value = int(text) if re.fullmatch(r"\d{1,10}", text, re.ASCII) else -1
    if not least <= value < 2**31:
        raise ValueError(f"no whole number from {least} on")
    return value


def _line_number(text: str) -> int:
    return _whole(text, 0)


def _quantity(text: str) -> int:
    return _whole(text, 1)


def _price(text: str) -> int:
    whole, _, fraction = text.partition(".")
    if not (re.fullmatch(r"\d{1,9}", whole, re.ASCII) and re.fullmatch(r"\d{0,4}0*", fraction, re.ASCII)):
        raise ValueError(f"no price with at most {PRICE_DECIMALS} decimals")
    return int(whole + fraction[:PRICE_DECIMALS].ljust(PRICE_DECIMALS, "0"))


class _Reading:
    """The state of reading one file."""

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        self.path = path
        self.zone = zone
        self.pools = {name: Pool() for name in OrderFile.POOLS}
        self.lines = {name: array("i") for name in ("order", "number", "sku", "description", "quantity")}
        self.lines |= {"price": array("q"), "at": array("i")}
        self.orders = {name: array("q") for name in ("ordered_at", "customer", "country")}
        self._columns = list(self.lines.values())
        self._known: dict[tuple[str, str], int] = {}

    def read(self, rows: Any) -> None:
        """Take in all lines."""
        try:
            fields_of = self._header(next(rows, []))
            for row in rows:
                if row:
                    self._line(rows.line_num, row, fields_of)
        except UnicodeDecodeError as problem:
            raise CsvError(self.path, rows.line_num + 1, f"it is not UTF-8 text ({problem.reason}).") from None
        except (csv.Error, EOFError, gzip.BadGzipFile) as problem:
            raise CsvError(self.path, rows.line_num + 1, f"it cannot be read ({problem}).") from None

    def _header(self, header: list[str]) -> Callable[[list[str]], tuple[str, ...]]:
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise CsvError(self.path, 1, f"the column {missing[0]} is missing (needed: {','.join(COLUMNS)}).")
        return itemgetter(*(header.index(name) for name in COLUMNS))

    def _line(self, at: int, row: list[str], fields_of: Callable[[list[str]], tuple[str, ...]]) -> None:
        try:
            order, number, sku, description, quantity, price, customer, ordered_at, country = fields_of(row)
        except IndexError:
            raise CsvError(self.path, at, f"it has only {len(row)} fields.") from None
        pools = self.pools
        position = pools["names"].number(order.strip())
        if position == len(self.orders["customer"]):
            if not order.strip():
                raise CsvError(self.path, at, "order_id is empty.")
            self.orders["ordered_at"].append(2**62)
            self.orders["customer"].append(pools["customers"].number(customer) if customer else -1)
            self.orders["country"].append(pools["countries"].number(country))
        moment = self._value(at, ordered_at, "ordered_at", self._time)
        if moment < self.orders["ordered_at"][position]:
            self.orders["ordered_at"][position] = moment
        line = (
            position,
            self._value(at, number, "line_no", _line_number),
            pools["skus"].number(sku) if sku else -1,
            pools["descriptions"].number(description),
            self._value(at, quantity, "quantity", _quantity),
            self._value(at, price, "unit_price", _price),
            at,
        )
        for values, value in zip(self._columns, line, strict=True):
            values.append(value)

    def _value(self, at: int, text: str, name: str, read: Callable[[str], int]) -> int:
        """A field's value; the same texts come again and again, so each is read once."""
        key = (name, text)
        value = self._known.get(key)
        if value is None:
            try:
                value = read(text)
            except ValueError as problem:
                raise CsvError(self.path, at, f"{name} {text!r} is {problem}.") from None
            if len(self._known) == _VALUES_KNOWN:
                self._known.clear()
            self._known[key] = value
        return value

    def _time(self, text: str) -> int:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("no time, such as 2010-12-01 08:26:00") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp())

    def arranged(self) -> tuple[dict[str, Array], dict[str, Pool]]:
        """The arrays of an `OrderFile`: orders by time and id, lines by order and number."""
        lines = {name: np.frombuffer(values, dtype=values.typecode) for name, values in self.lines.items()}
        orders = {name: np.frombuffer(values, dtype=values.typecode) for name, values in self.orders.items()}
        self.lines.clear()  # so that each column is freed where it is popped
        self._columns.clear()
        ids = self._order_ids(lines)
        rank = np.lexsort((ids, orders["ordered_at"]))
        place = np.empty(len(rank), dtype=np.int32)
        place[rank] = np.arange(len(rank), dtype=np.int32)
        order_of_line = place[lines.pop("order")]
        sequence = np.lexsort((lines["number"], order_of_line))
        order_of_line = order_of_line[sequence]
        number = lines.pop("number")[sequence]
        twice = np.flatnonzero((np.diff(order_of_line) == 0) & (np.diff(number) == 0))
        if len(twice):
            order_name = self.pools["names"].texts[rank[order_of_line[twice[0]]]]
            at = int(lines["at"][sequence[twice[0] + 1]])
            raise CsvError(self.path, at, f"order {order_name} has line {number[twice[0]]} twice.")
        counts = np.bincount(order_of_line, minlength=len(rank))
        first_line = np.concatenate([[0], np.cumsum(counts)])
        if len(counts) and counts.max() > MAX_LINES_PER_ORDER:
            at = int(lines["at"][sequence[first_line[counts.argmax()]]])
            raise CsvError(self.path, at, f"its order has more than {MAX_LINES_PER_ORDER} lines.")
        # Line numbers make up ids; where they run through the whole file, the position in the order does.
        position = np.arange(len(number)) - first_line[:-1][order_of_line]
        fits = (number > 0) & (number <= MAX_LINES_PER_ORDER)
        number = np.where(np.bincount(order_of_line, ~fits, len(rank))[order_of_line] == 0, number, position + 1)
        del order_of_line, twice, position, fits, lines["at"]
        arrays = {
            "order_id": ids[rank],
            "order_name": rank.astype(np.int32),
            "ordered_at": orders["ordered_at"][rank],
            "customer": orders["customer"][rank].astype(np.int32),
            "country": orders["country"][rank].astype(np.int32),
            "first_line": first_line,
            "line_number": number.astype(np.int16),
            **{name: lines.pop(name)[sequence] for name in ("sku", "description", "quantity", "price")},
        }
        arrays["fingerprint"] = _fingerprints(arrays, self.pools)
        return arrays, self.pools

    def _order_ids(self, lines: dict[str, Array]) -> Array:
        names = self.pools["names"].texts
        ids = np.array([number_of(name, MAX_ORDER_ID) for name in names], dtype=np.int64)
        if len(np.unique(ids)) < len(ids):
            first: dict[int, int] = {}
            for position, number in enumerate(ids.tolist()):
                if number in first:
                    at = int(lines["at"][int(np.argmax(lines["order"] == position))])
                    problem = f"order_id {names[position]!r} would get the number of {names[first[number]]!r}."
                    raise CsvError(self.path, at, problem)
                first[number] = position
        return ids


def _fingerprints(arrays: dict[str, Array], pools: dict[str, Pool]) -> Array:
    """A hash of each order: of its own facts, and the sum of its lines' hashes."""

    def mixed(*parts: Array) -> Array:
        state = np.zeros(len(parts[0]), dtype=np.uint64)
        for part in parts:
            state = (state ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            state ^= state >> np.uint64(29)
        return state

    # The last stands for no text, which has the number -1.
    texts = {name: np.append(pool.fingerprints(), np.uint64(0)) for name, pool in pools.items() if name != "names"}
    total = np.zeros(len(arrays["price"]) + 1, dtype=np.uint64)
    for begin in range(0, len(arrays["price"]), _LINES_AT_ONCE):
        part = slice(begin, begin + _LINES_AT_ONCE)
        total[1:][part] = mixed(
            arrays["line_number"][part],
            texts["skus"][arrays["sku"][part]],
            texts["descriptions"][arrays["description"][part]],
            arrays["quantity"][part],
            arrays["price"][part],
        )
    np.cumsum(total, out=total)
    lines = total[arrays["first_line"][1:]] - total[arrays["first_line"][:-1]]
    customers, countries = texts["customers"][arrays["customer"]], texts["countries"][arrays["country"]]
    return mixed(arrays["ordered_at"], customers, countries, lines)
