"""Rows of customers."""

from __future__ import annotations

from collections.abc import Iterator

from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.copy_format import NULL, text, texts
from xeno_pipeline.raw.mapping.fields import Mapped, Node, clock, count, country_code, object_id


def map_customer(node: Node) -> Iterator[Mapped]:
    """The row of a customer."""
    email = node["defaultEmailAddress"]
    email = NULL if email is None else text(email["emailAddress"])
    phone = node["defaultPhoneNumber"]
    columns = (
        clock(node["updatedAt"]),
        clock(node["createdAt"]),
        email,
        NULL if phone is None else text(phone["phoneNumber"]),
        text(node["firstName"]),
        text(node["lastName"]),
        country_code(node["defaultAddress"]),
        text(node["locale"]),
        text(node["state"]),
        texts(node["tags"]),
        count(node["numberOfOrders"]),
        _rfm_group(node["statistics"]),
    )
    yield raw.CUSTOMERS.name, object_id(node, "Customer"), columns, node


def _rfm_group(statistics: Node | None) -> str:
    return NULL if statistics is None else text(statistics.get("rfmGroup"))
