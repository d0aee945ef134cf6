"""Why a node does not fit, and what is known of the object that it belongs to."""

from __future__ import annotations

from typing import Any

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import InvalidValueError
from xeno_pipeline.raw.mapping.fields import Node, cart_number, is_gid
from xeno_pipeline.raw.mapping.mappers import INVALID_NODE_ERRORS, child_label, mapper_of
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.tables import KINDS, RawTable
from xeno_pipeline.shopify import records
from xeno_pipeline.shopify.records import number_of


def refused_node(root: RawTable, node: Any, error: Exception) -> Refused:
    """What is known of a single node that does not fit."""
    if not isinstance(node, dict) or not node:
        return Refused("it is no record")
    reason = _explain(root, node, error)
    name = node.get("__typename")
    is_root = name == KINDS[root.name]
    if is_root or ("__parentId" not in node and not _is_child(root, name)):
        return refused_object(root, node, reason, is_known=is_root)
    parent, own = node.get("__parentId"), node.get("id")
    root_id = number_of(parent, KINDS[root.name])
    own_id = own if is_gid(own) else None
    within = parent if root_id is None and is_gid(parent) and _has_grandchildren(root) else None
    return Refused(reason, root_id, within, own_id, is_root=False)


def refused_object(root: RawTable, node: Node, reason: str, *, is_known: bool = True) -> Refused:
    """What is known of an object that does not fit.

    Args:
        is_known: whether it is known to be an object of the root table.
    """
    gid, customer = node.get("id"), node.get("customer")
    id_ = number_of(gid, KINDS[root.name])
    if root is raw.CARTS:
        gid = node.get("token")
        id_ = cart_number(gid) if isinstance(gid, str) and gid else None
    return Refused(
        reason,
        id_,
        gid=gid if id_ is not None else None,
        is_root=True if is_known or id_ is not None else None,
        updated_at=records.clock(node.get("updatedAt", node.get("updated_at"))),
        created_at=records.clock(node.get("createdAt", node.get("created_at"))),
        customer_id=number_of(customer.get("id")) if isinstance(customer, dict) else None,
    )


def _is_child(root: RawTable, name: Any) -> bool:
    """Whether a kind of node is known to be a part of objects."""
    try:
        return child_label(mapper_of(root, name)) != ""
    except INVALID_NODE_ERRORS:
        return False


def _has_grandchildren(root: RawTable) -> bool:
    return any(table.parent not in (None, root) for table in raw.tree(root))


def _explain(root: RawTable, node: Node, error: Exception) -> str:
    """Which field of a node does not fit, and why: its mapper runs again on a node that traces what it reads."""
    path: list[str] = []
    label = ""
    try:
        name = _TracingNode(node, "", path)["__typename"]
        mapper = mapper_of(root, name)
        label = child_label(mapper)
        list(mapper(_TracingNode(node, "", path)))
    except KeyError:
        return f"{label}{path[-1] if path else 'it'} is missing"
    except InvalidValueError as invalid:
        return f"{label}{path[-1] if path else 'it'} {invalid}"
    except INVALID_NODE_ERRORS:
        return f"{label}{path[-1] if path else 'it'} is of another type than it should be"
    return f"{label}it {error if isinstance(error, InvalidValueError) else 'holds a text that is no Unicode'}"


class _TracingNode(dict[str, Any]):
    """A node that records which of its fields was read last."""

    def __init__(self, node: Node, prefix: str, path: list[str]) -> None:
        super().__init__(node)
        self._prefix = prefix
        self._path = path

    def __getitem__(self, field: str) -> Any:
        self._path.append(f"{self._prefix}{field}")
        return self._traced(super().__getitem__(field), field)

    def get(self, field: str, default: Any = None) -> Any:
        self._path.append(f"{self._prefix}{field}")
        return self._traced(super().get(field, default), field)

    def _traced(self, value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return _TracingNode(value, f"{self._prefix}{field}.", self._path)
        if isinstance(value, list):
            return [self._traced(item, field) for item in value]
        return value
