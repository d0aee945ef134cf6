"""An alert is sent once, with the tenant, the time and a command to try; and its recovery once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from tests.support.installation import Shop
from tests.support.listeners import MailServer, WebhookServer
from tests.support.location import Location
from tests.support.loopback import serving
from xeno_pipeline.defs.jobs.names import SYNC_JOB

TO, FROM = "oncall@example.com", "xeno@example.com"


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """Alerts go to a mail server; to be asked for before the location, which reads the settings."""
    with serving(MailServer()) as server:
        for name, value in (("ALERT_EMAIL_TO", TO), ("ALERT_EMAIL_FROM", FROM), ("SMTP_URL", server.url)):
            monkeypatch.setenv(f"XENO_{name}", value)
        yield server


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    """Alerts go to a webhook; to be asked for before the location, too."""
    with serving(WebhookServer()) as server:
        monkeypatch.setenv("XENO_ALERT_WEBHOOK_URL", server.url)
        yield server


class Watch:
    """The sensor, from tick to tick."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.cursor: str | None = None

    def tick(self) -> Any:
        sensor = self.location.definitions.resolve_sensor_def("alerts")
        resources = self.location.definitions.resources
        with dg.build_sensor_context(self.location.instance, self.cursor, resources=resources) as context:
            result = sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
        return result

    def check_again(self) -> None:
        """A tick after the checks' pause has passed."""
        assert self.cursor is not None
        self.cursor = json.dumps({**json.loads(self.cursor), "checked_at": 0.0})
        self.tick()

    def let_pass(self, minutes: int) -> None:
        """Time, for alerts and messages."""
        self.location.installation.execute(
            "update ops.alerts set quiet_at = quiet_at - make_interval(mins => %s)", minutes
        )
        self.location.installation.execute(
            "update ops.alert_messages set due_at = due_at - make_interval(mins => %s)", minutes
        )


@pytest.fixture
def tenant(location: Location, shop: Shop) -> str:
    """A tenant that was read."""
    location.connect(shop)
    assert location.run(SYNC_JOB, "extract_tenants", transform=False).success
    return shop.handle


def grow_stale(location: Location, tenant: str, synced_at: str) -> None:
    location.installation.execute(
        "update ops.sync_state set synced_at = %s where tenant_id = %s and stream = 'orders'", synced_at, tenant
    )


def test_without_a_channel_problems_are_recorded_until_they_are_resolved_and_nobody_is_told(
    location: Location, tenant: str
) -> None:
    watch = Watch(location)
    grow_stale(location, tenant, "2026-01-01 12:00Z")
    result = watch.tick()
    assert isinstance(result, dg.SensorResult)
    assert "No alert channel is configured" in str(result.skip_reason)
    recorded = "select count(*) from ops.alerts where kind = 'is_fresh' and raised_at is null"
    assert location.installation.query(recorded) == [(1,)]
    grow_stale(location, tenant, "2100-01-01")
    watch.check_again()
    watch.let_pass(minutes=11)
    watch.check_again()
    assert location.installation.query("select count(*) from ops.alerts where kind = 'is_fresh'") == [(0,)]
    assert location.installation.query("select count(*) from ops.alert_messages") == [(0,)]


def test_a_failed_check_is_alerted_once_with_tenant_time_and_command_and_its_recovery_once(
    mail: MailServer, webhook: WebhookServer, location: Location, tenant: str
) -> None:
    watch = Watch(location)
    watch.tick()
    assert mail.mails == webhook.texts == []

    grow_stale(location, tenant, "2026-01-01 12:00Z")
    watch.check_again()
    watch.check_again()
    (sent,) = mail.mails
    assert (sent["From"], sent["To"]) == (FROM, TO)
    assert sent["Subject"] == f"xeno-pipeline: 1 problem ({tenant})"
    (text,) = webhook.texts
    assert text == f"*{sent['Subject']}*\n" + "\n".join(sent.get_content().splitlines())
    assert f"Failing: raw.orders, is_fresh\n  {tenant}: orders: last synced at" in text
    assert f"(since 2026-01-01 12:00 UTC). Try: xeno sync {tenant}" in text

    assert location.run(SYNC_JOB, "extract_tenants", transform=False).success
    watch.check_again()
    assert len(mail.mails) == 1, "what comes and goes within minutes is one alert"
    watch.let_pass(minutes=11)
    watch.check_again()
    watch.check_again()
    (_, over) = mail.mails
    assert over["Subject"] == f"xeno-pipeline: 1 recovered ({tenant})"
    assert over.get_content().startswith("Recovered: raw.orders, is_fresh")


def test_a_problem_that_returns_before_its_recovery_was_sent_is_the_same_alert(
    webhook: WebhookServer, location: Location, tenant: str
) -> None:
    watch = Watch(location)
    grow_stale(location, tenant, "2026-01-01 12:00Z")
    watch.tick()
    grow_stale(location, tenant, "2099-01-01")
    watch.check_again()
    grow_stale(location, tenant, "2026-01-01 12:00Z")
    watch.check_again()
    watch.let_pass(minutes=11)
    watch.check_again()
    assert len(webhook.texts) == 1
    assert location.installation.value("select times from ops.alerts") == 3


def test_a_message_that_cannot_be_delivered_is_tried_again_for_the_channel_that_refused_it_alone(
    mail: MailServer, webhook: WebhookServer, location: Location, tenant: str
) -> None:
    mail.is_refusing = webhook.is_refusing = True
    watch = Watch(location)
    grow_stale(location, tenant, "2026-01-01 12:00Z")
    watch.tick()
    assert mail.mails == webhook.texts == []
    errors = location.installation.query("select channel, error from ops.alert_messages order by 1")
    assert [channel for channel, _ in errors] == ["email", "webhook"]
    assert "secret-path" not in str(errors)

    webhook.is_refusing = False
    watch.tick()
    assert webhook.texts == [], "its pause is not over"
    watch.let_pass(minutes=1)
    watch.tick()
    assert (len(mail.mails), len(webhook.texts)) == (0, 1)

    mail.is_refusing = False
    watch.let_pass(minutes=2)
    watch.tick()
    assert (len(mail.mails), len(webhook.texts)) == (1, 1)


@pytest.mark.thorough
def test_a_failed_run_is_alerted_for_its_failed_tenant_until_that_is_read_again(
    webhook: WebhookServer, location: Location, tenant: str, other_shop: Shop, shop: Shop
) -> None:
    location.connect(other_shop)
    watch = Watch(location)
    watch.tick()
    shop.control.set_tokens("another")
    assert not location.run(SYNC_JOB, "extract_tenants", transform=False).success
    watch.tick()
    watch.tick()
    (text,) = webhook.texts
    assert f"1 problem ({tenant})" in text
    assert f"Failing: {SYNC_JOB}, run" in text
    assert "Try: xeno sync" in text

    assert location.run(SYNC_JOB, "extract_tenants", tenants=[other_shop.handle], transform=False).success
    watch.tick()
    watch.let_pass(minutes=11)
    watch.tick()
    assert len(webhook.texts) == 1, "another tenant's success is not this one's"


def test_a_run_that_died_is_alerted_until_its_job_succeeds(webhook: WebhookServer, location: Location) -> None:
    watch = Watch(location)
    watch.tick()
    run = create_run_for_test(location.instance, "retention", status=dg.DagsterRunStatus.STARTED)
    location.instance.report_run_failed(run, "The process of this run was killed.")
    watch.tick()
    assert f"run {run.run_id[:8]} of retention failed" in webhook.texts[0]

    assert location.definitions.resolve_job_def("retention").execute_in_process(instance=location.instance).success
    watch.tick()
    watch.let_pass(minutes=11)
    watch.tick()
    assert "1 recovered" in webhook.texts[1]
