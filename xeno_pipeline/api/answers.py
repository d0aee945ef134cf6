"""The form of answers: what is asked for in `data`, and around it what holds for all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Data = TypeVar("Data")


class Answer(BaseModel, Generic[Data]):
    """What is asked for."""

    store: str
    currency: str | None = Field(description="Of all money in this answer.")
    made_at: datetime | None = Field(description="When the marts were made that this comes from.")
    data: Data


class ListAnswer(BaseModel, Generic[Data]):
    """A page of a list."""

    store: str
    currency: str | None = Field(description="Of all money in this answer.")
    made_at: datetime | None = Field(description="When the marts were made that this comes from.")
    data: list[Data]
    next: str | None = Field(description="The cursor of the next page; null after the last. See also the header Link.")
