"""The pipeline left to itself: twenty stores, events, schedules by a quick clock, faults that pass, a real problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.listeners import MailServer, WebhookServer
from tests.support.loopback import serving
from tests.support.realtime import fast_schedules
from tests.support.realtime.final_state import check_marts
from tests.support.realtime.machine import Machine
from tests.support.realtime.memory import Held, memory_of
from tests.support.realtime.random_faults import Trouble
from tests.support.realtime.traffic import Traffic

pytestmark = pytest.mark.thorough

RATE = 3.0
"""Events a second, in all stores together."""

LOCKED, LATE = "shop-00", "shop-19"
"""The store that revokes its token, and the one that is connected while the others are at work, and whose first
customers come in a broken file. Both deserve an alert, and both are well again in the end."""

ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Asia/Tokyo", "Pacific/Auckland", "America/Los_Angeles")
"""Whatever the hour is, it is night in some shop or soon will be."""

SECONDS_OF_A_BURST = 5.0

SECONDS_TO_CATCH_UP = 600.0
"""Events of the store that had revoked its token are tried again after minutes."""

LONGEST_RUN_SECONDS = 300.0
"""From being asked for to its end. A run takes tens, but on a machine that runs all tests at once."""

_LATEST_RUNS = "query { runsOrError(limit: 25) { ... on Runs { results { runId status stats { __typename } } } } }"


@dataclass
class Soaked:
    """A machine, and whom its alerts are told to."""

    machine: Machine
    mail: MailServer
    webhook: WebhookServer


@pytest.fixture
def soaked(make_home: Callable[[], Path]) -> Iterator[Soaked]:
    """Twenty stores, of which one is no tenant yet; an hour by its clock lasts two minutes."""
    with (
        serving(MailServer()) as mail,
        serving(WebhookServer()) as webhook,
        Machine(
            make_home(),
            [f"shop-{number:02}" for number in range(19)],
            later=[LATE],
            zones=ZONES,
            module=fast_schedules.__name__,
            XENO_SMTP_URL=mail.url,
            XENO_ALERT_EMAIL_TO="ops@example.com",
            XENO_ALERT_EMAIL_FROM="xeno@example.com",
            XENO_ALERT_WEBHOOK_URL=webhook.url,
        ) as machine,
    ):
        yield Soaked(machine, mail, webhook)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_it_runs_itself_for_two_minutes(soaked: Soaked) -> None:
    held = soak(soaked, minutes=2)
    for what in ("gateway", "daemon", "code server", "webserver"):
        assert held[what].late <= 1.25 * held[what].early + 10, f"{what}: {held[what]}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_runs_itself_for_half_an_hour_in_the_same_memory_and_says_when_the_problem_is_over(soaked: Soaked) -> None:
    held = soak(soaked, minutes=30)
    for what in ("gateway", "daemon", "code server", "webserver", "postgres"):
        assert held[what].late <= 1.1 * held[what].early + 5, f"{what}: {held[what]}"
    assert soaked.machine.warehouse.value("select count(*) from ops.alerts where recovered_at is null") == 0


def soak(soaked: Soaked, minutes: float) -> dict[str, Held]:
    """Let everything happen for so long; nothing is stuck, the alerts are right, and so are the marts.

    Returns:
        What each process held.
    """
    machine = soaked.machine
    late = machine.connect(LATE)
    late.fault("bulk_reset", connection="orders", times=2)
    late.fault("bulk_truncate", connection="customers")  # whole files only are loaded: its first sync fails
    machine.subscribe(duplicates=0.2, disorder=2.0)
    locked = machine.stores[LOCKED]
    locked.set_tokens("shpat_another")
    traffic, trouble = Traffic(machine.stores, seed=3), Trouble(machine.stores, seed=3)
    untold = {LOCKED, LATE}
    ends_at = time.monotonic() + 60 * minutes
    with memory_of(machine.processes) as so_far:
        while time.monotonic() < ends_at or untold:
            assert time.monotonic() < ends_at + SECONDS_TO_CATCH_UP, f"nobody was told of {untold}"
            trouble.happen()
            traffic.run(SECONDS_OF_A_BURST, RATE)
            machine.webserver.query(_LATEST_RUNS)
            told = {handle for handle in untold if any(handle in text for text in soaked.webhook.texts)}
            if LOCKED in told:
                locked.set_tokens(DEFAULT_TOKEN)  # as whoever reads it would mend it
            untold -= told
    trouble.end()
    machine.await_marts(SECONDS_TO_CATCH_UP)
    machine.await_idleness(LONGEST_RUN_SECONDS)
    machine.daemon.kill_all()
    held = so_far()
    print(f"{traffic.events} events in {minutes} minutes; what went wrong meanwhile: {trouble}.")
    for what, each in held.items():
        print(f"{what}: {each}")
    check_runs(machine)
    check_alerts(soaked)
    check_marts(machine)
    return held


def check_runs(machine: Machine) -> None:
    """No run was stuck, and every schedule that can have had something to do had it done."""
    runs = machine.warehouse.query(
        """
        select pipeline_name, status, count(*), max(end_time - extract(epoch from create_timestamp)) as longest
        from dagster.runs group by 1, 2 order by 1, 2
        """
    )
    print(
        "\n".join(f"{count} runs of {job}: {status}, {longest:.0f} s at most" for job, status, count, longest in runs)
    )
    assert {status for _, status, _, _ in runs} <= {"SUCCESS", "FAILURE"}
    assert max(longest for _, _, _, longest in runs) <= LONGEST_RUN_SECONDS
    assert {job for job, status, _, _ in runs if status == "SUCCESS"} >= {"events", "sync", "checks"}


def check_alerts(soaked: Soaked) -> None:
    """Everybody was told of the two stores that something was wrong with, of each thing once, and of nothing else."""
    alerts = soaked.machine.warehouse.query(
        "select kind, subject, tenant_id, message, times, recovered_at is not null from ops.alerts"
    )
    for kind, subject, _, told, times, is_over in alerts:
        print(f"alert: {kind}, {subject}, seen {times} times{', over' * is_over}: {told}")
    assert {tenant_id for _, _, tenant_id, _, _, _ in alerts} == {LOCKED, LATE}
    assert {kind for kind, *_ in alerts} <= {"run", "counts_match_shopify", "webhooks_processed_on_time"}
    for told in ([mail.get_content() for mail in soaked.mail.mails], soaked.webhook.texts):
        lines = [line for text in told for line in text.splitlines()]
        for heading, expected in (("Failing", alerts), ("Recovered", [alert for alert in alerts if alert[-1]])):
            assert sum(line.startswith(f"{heading}: ") for line in lines) <= len(expected)
            assert _tenants(lines, heading) == {tenant_id for _, _, tenant_id, *_ in expected}


def _tenants(lines: list[str], heading: str) -> set[str]:
    """The tenants that messages name under a heading."""
    named, is_below = set(), False
    for line in lines:
        if line.startswith("  "):
            named |= {handle for handle in (LOCKED, LATE) if is_below and handle in line}
        else:
            is_below = line.startswith(heading)
    return named
