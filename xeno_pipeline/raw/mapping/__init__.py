"""The mapping from Shopify's nodes to raw rows: one for every way in which a node may come.

A node from a bulk operation names its parent in `__parentId`. A node from a page has its children inside it, and is
flattened to the same form first. So an object has the same row however it came. A node that does not fit is refused
with a reason; the others are mapped.

`fields` holds the getters of single fields, one module each the rows of one family of objects, `mappers` the table of
them, and `refusals` what is reported of a node that does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import InvalidValueError, json
from xeno_pipeline.raw.mapping.fields import Node
from xeno_pipeline.raw.mapping.mappers import INVALID_NODE_ERRORS, mapper_of, mappers_of
from xeno_pipeline.raw.mapping.refusals import refused_node, refused_object
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch, BatchSource, Row, in_batches
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.raw.tables import RawTable
from xeno_pipeline.shopify.records import number_of

Refuse = Callable[[Refused], None]
"""Called with each node that does not fit."""

_CHILD_CONNECTIONS = ("lineItems", "agreements", "sales", "variants")

_PII_TABLES: dict[str, RawTable] = {
    "Customer": raw.CUSTOMERS,
    "Order": raw.ORDERS,
    "AbandonedCheckout": raw.ABANDONED_CHECKOUTS,
}
"""The kinds of node that hold personal data, and their tables."""


@dataclass(frozen=True)
class RowMapping:
    """Makes the rows of one kind of object and its children.

    Args:
        root: the objects' table.
        query_version: the version of the selection that read them.
    """

    root: RawTable
    tenant_id: str
    query_version: int

    def of_lines(self, nodes: Iterable[Node], suppressed: Suppressed, refuse: Refuse) -> Iterator[Row]:
        """The rows of flat nodes, as a bulk operation brings them. The nodes are consumed."""
        head, version = f"{self.tenant_id}\t", f"\t{self.query_version}\t"
        mappers = dict(mappers_of(self.root))
        for node in nodes:
            try:
                name = node["__typename"]
                mapper = mappers.get(name)
                if mapper is None:
                    mapper = mappers[name] = mapper_of(self.root, name)
                if suppressed and name in _PII_TABLES:
                    _suppress(node, _PII_TABLES[name], suppressed)
                for table, id_, columns, payload in mapper(node):
                    typed = "\t".join(columns)
                    yield table, f"{head}{id_}\t{typed}{version}".encode() + json(payload)
            except INVALID_NODE_ERRORS as error:
                refuse(refused_node(self.root, node, error))

    def of_objects(self, nodes: Sequence[Node]) -> BatchSource:
        """A source of the rows of whole objects with their children inside; it may be called several times.

        An object of which one node does not fit is refused as a whole.
        """
        made: dict[int, tuple[Suppressed, list[Row], list[Refused]]] = {}

        def make(suppressed: Suppressed, refuse: Refuse) -> Generator[Batch, None, None]:
            if not made:  # mapping consumes the nodes
                rows: list[Row] = []
                refused: list[Refused] = []
                for node in nodes:
                    rows += self._rows_of(node, suppressed, refused)
                made[0] = suppressed, rows, refused
            made_for, rows, refused = made[0]
            assert made_for is suppressed
            for each in refused:
                refuse(each)
            yield from in_batches(rows)

        return make

    def _rows_of(self, node: Node, suppressed: Suppressed, refused: list[Refused]) -> list[Row]:
        problems: list[Refused] = []
        try:
            rows = list(self.of_lines(flatten([node]), suppressed, problems.append))
        except InvalidValueError as error:
            problems.append(Refused(str(error)))
        if not problems:
            return rows
        refused.append(refused_object(self.root, node, problems[0].reason))
        return []


def flatten(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes with children inside, as flat nodes that name their parents: parents first.

    Raises:
        InvalidValueError: something else than records is in the place of children.
    """
    for node in nodes:
        children = [
            (child, node["id"]) for field in _CHILD_CONNECTIONS if field in node for child in _pop_children(node, field)
        ]
        yield node
        for child, parent in children:
            child["__parentId"] = parent
        yield from flatten(child for child, _ in children)


def _pop_children(node: Node, field: str) -> list[Node]:
    children = node.pop(field)
    if not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
        raise InvalidValueError(f"{field} is no list of records")
    if not isinstance(node.get("id"), str):
        raise InvalidValueError("id is no text")
    return children


def _suppress(node: Node, table: RawTable, suppressed: Suppressed) -> None:
    """Empty the personal fields of a node that belongs to a redacted customer."""
    customer = node if table is raw.CUSTOMERS else node["customer"]
    owner = number_of(customer["id"]) if customer else None
    if suppressed.holds(table, str(number_of(node["id"]))) or suppressed.holds(raw.CUSTOMERS, str(owner)):
        node.update(dict.fromkeys(table.pii.fields))
