"""What a sync tells can be handed from one step of a run to the next, which Dagster does through files."""

from __future__ import annotations

import pickle

import pytest

from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.report import StreamFailure
from xeno_pipeline.shopify.errors import TokenRejectedError


def subclasses(kind: type[XenoError]) -> set[type[XenoError]]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_an_error_arrives_as_it_was() -> None:
    failure = StreamFailure("acme", "orders", TokenRejectedError("acme", "OrdersPage", "was refused."))
    arrived = pickle.loads(pickle.dumps(failure))
    assert isinstance(arrived.error, TokenRejectedError)
    assert str(arrived.error) == "acme: OrdersPage was refused."
    assert (arrived.tenant_id, arrived.stream, arrived.error.tenant) == ("acme", "orders", "acme")


@pytest.mark.parametrize("kind", sorted(subclasses(XenoError), key=str))
def test_no_error_of_ours_is_lost_for_what_its_constructor_takes(kind: type[XenoError]) -> None:
    error = kind.__new__(kind, "acme: it failed.")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == "acme: it failed."


def test_of_an_exception_of_somebody_elses_what_may_be_told_arrives() -> None:
    class LocalError(Exception):
        """Cannot be pickled: its class has no name that could be imported."""

    arrived = pickle.loads(pickle.dumps(StreamFailure("acme", "orders", LocalError("Ada Lovelace"))))
    assert str(arrived.error) == "LocalError"
