"""When a run takes another batch of events, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.registered import register
from xeno_pipeline.database.connection import Database
from xeno_pipeline.extraction.batches import Shift, batches

QUICK = Shift(quiet_seconds=0, longest_seconds=60)
PATIENT = Shift(quiet_seconds=60, longest_seconds=60)
"""So long nothing here waits: something comes, or the run ends for another reason."""


class Inbox:
    """The inbox of two tenants, and what becomes of their events."""

    def __init__(self, database: Database) -> None:
        self.database = database
        register(database, "acme", "zeta")

    def put(self, tenant_id: str) -> None:
        self._execute(
            """
            insert into ops.webhook_inbox (tenant_id, webhook_id, topic, stream)
            values (%s, gen_random_uuid(), 'orders/updated', 'orders')
            """,
            tenant_id,
        )

    def settle(self, tenant_id: str) -> None:
        self._execute("update ops.webhook_inbox set in_marts_at = now() where tenant_id = %s", tenant_id)

    def retry(self, tenant_id: str) -> None:
        """As if it had been tried, and its pause were over."""
        self._execute("update ops.webhook_inbox set attempts = attempts + 1 where tenant_id = %s", tenant_id)

    def batches(self, shift: Shift, *, is_outdated: bool = False) -> Iterator[int]:
        return batches(self.database, shift, lambda: is_outdated)

    def _execute(self, statement: str, tenant_id: str) -> None:
        with self.database.connect() as connection:
            connection.execute(statement, [tenant_id])


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database)


def has_more(taken: Iterator[int]) -> bool:
    """Whether the run takes another batch."""
    return any(True for _ in taken)


def test_a_run_takes_one_batch_whatever_is_due_and_ends_when_nothing_comes(inbox: Inbox) -> None:
    assert list(inbox.batches(QUICK)) == [0]


def test_what_came_while_a_batch_was_taken_is_the_next_batch(inbox: Inbox) -> None:
    taken = inbox.batches(QUICK)
    next(taken)
    inbox.put("acme")
    next(taken)
    inbox.settle("acme")
    inbox.put("acme")
    next(taken)
    inbox.settle("acme")
    assert not has_more(taken)


def test_what_comes_while_a_run_waits_is_the_next_batch(inbox: Inbox) -> None:
    taken = inbox.batches(PATIENT)
    next(taken)
    coming = threading.Timer(0.2, inbox.put, ["acme"])
    coming.start()
    next(taken)
    coming.join()


def test_what_a_batch_left_as_it_was_is_not_tried_again_at_once(inbox: Inbox) -> None:
    inbox.put("acme")
    taken = inbox.batches(QUICK)
    next(taken)
    assert not has_more(taken)


def test_what_a_batch_left_as_it_was_does_not_keep_others_from_being_taken(inbox: Inbox) -> None:
    inbox.put("acme")
    taken = inbox.batches(QUICK)
    next(taken)
    inbox.put("zeta")
    next(taken)
    inbox.settle("zeta")
    assert not has_more(taken)


def test_what_was_tried_and_is_due_again_is_taken_again(inbox: Inbox) -> None:
    inbox.put("acme")
    taken = inbox.batches(QUICK)
    next(taken)
    inbox.retry("acme")
    next(taken)
    assert not has_more(taken)


def test_a_run_hands_over_after_its_time_though_something_is_due(inbox: Inbox) -> None:
    taken = inbox.batches(Shift(quiet_seconds=60, longest_seconds=0))
    next(taken)
    inbox.put("acme")
    assert not has_more(taken)


def test_a_run_of_another_version_takes_no_further_batch(inbox: Inbox) -> None:
    taken = inbox.batches(PATIENT, is_outdated=True)
    next(taken)
    inbox.put("acme")
    assert not has_more(taken)
