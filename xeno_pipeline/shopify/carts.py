"""A cart from its webhook, reduced to fields that are known to hold no personal data.

The Admin API cannot read a cart, so its payload is the only source. Left out are the note, the properties of lines (an
engraving, a name on a cake) and any field that Shopify may add.
Source: https://shopify.dev/docs/api/webhooks?reference=graphql#list-of-topics-carts/update
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator, BeforeValidator

from xeno_pipeline.shopify.records import AHEAD, EARLIEST, cart_id

MOST_LINES = 500
"""Shopify's own limit."""


def _kept_text(value: object) -> object:
    """A text without NUL, which PostgreSQL cannot hold, cut to 255 characters."""
    return value.replace("\0", "")[:255] if isinstance(value, str) else value


def _possible(instant: datetime) -> datetime:
    """The instant in UTC: PostgreSQL does not accept every offset.

    Raises:
        ValueError: no cart can be from that time.
    """
    if not EARLIEST <= instant <= datetime.now(UTC) + AHEAD:
        raise ValueError("is impossible")
    return instant.astimezone(UTC)


_Text = Annotated[str, BeforeValidator(_kept_text)]
_Instant = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_possible)]
_Amount = Annotated[
    str,
    StringConstraints(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$"),  # so that the sum of all lines fits numeric(20, 4)
    BeforeValidator(lambda value: str(value) if isinstance(value, float | int) else value),  # older versions of the API
]
_Number = Annotated[int, Field(gt=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Money(_Part):
    amount: _Amount
    currency_code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class _MoneyBag(_Part):
    shop_money: _Money


class _Line(_Part):
    product_id: _Number | None = None
    variant_id: _Number | None = None
    sku: _Text | None = None
    title: _Text | None = None
    quantity: Annotated[int, Field(ge=0, lt=2**31)]
    line_price: _Amount | None = None
    line_price_set: _MoneyBag | None = None


class _Cart(_Part):
    token: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
    created_at: _Instant
    updated_at: _Instant
    line_items: Annotated[list[_Line], Field(max_length=MOST_LINES)]


def cart_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a cart that are kept, as JSON values.

    Args:
        payload: the body of `carts/create` or `carts/update`.

    Raises:
        ValueError: it is not a cart. The message quotes no values.
    """
    try:
        cart = _Cart.model_validate({**payload, "token": cart_id(payload.get("token") or payload.get("id"))})
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ValueError(f"The body is not a cart: see its {place}.") from None
    return cart.model_dump(mode="json")
