"""`xeno alerts`: who would be told, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.support.installation import Installation
from tests.support.listeners import MailServer, WebhookServer
from tests.support.loopback import serving
from tests.support.xeno_command import Said
from xeno_pipeline.monitoring.alerts import record_findings
from xeno_pipeline.monitoring.checks import Finding


def test_a_test_message_goes_to_everyone_who_would_be_told(
    main: Callable[..., Said], machine: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = main("alerts", "test")
    assert (nobody.exit_code, "No recipient is configured: set XENO_ALERT_WEBHOOK_URL" in nobody.err) == (2, True)
    monkeypatch.setenv("XENO_ALERT_EMAIL_TO", "oncall@example.com, boss@example.com")
    assert "XENO_SMTP_URL" in main("alerts", "test").err

    with serving(MailServer()) as mail, serving(WebhookServer()) as webhook:
        monkeypatch.setenv("XENO_ALERT_EMAIL_FROM", "xeno@example.com")
        monkeypatch.setenv("XENO_SMTP_URL", mail.url)
        monkeypatch.setenv("XENO_ALERT_WEBHOOK_URL", webhook.url)
        assert main("alerts", "test").out == "email: delivered.\nwebhook: delivered.\n"
        assert mail.mails[0]["To"] == "oncall@example.com, boss@example.com"
        assert webhook.texts == [f"*{mail.mails[0]['Subject']}*\n{mail.mails[0].get_content().strip()}"]

        webhook.is_refusing = True
        refused = main("alerts", "test")
        assert refused.exit_code == 1
        assert "(HTTP 503)" in refused.err
        assert "secret-path" not in refused.err


def test_a_password_is_not_sent_to_a_mail_server_without_encryption(
    main: Callable[..., Said], machine: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(MailServer()) as mail:
        monkeypatch.setenv("XENO_ALERT_EMAIL_TO", "oncall@example.com")
        monkeypatch.setenv("XENO_ALERT_EMAIL_FROM", "xeno@example.com")
        monkeypatch.setenv("XENO_SMTP_URL", mail.url.replace("//", "//me:open-sesame@"))
        refused = main("alerts", "test")
    assert (refused.exit_code, mail.mails) == (1, [])
    assert "open-sesame" not in refused.err


def test_what_is_wrong_is_listed(main: Callable[..., Said], machine: Installation) -> None:
    assert "Alerts are off; see docs/operate/alerts.md" in main("alerts", "list").out
    watched = {"XENO_ALERT_WEBHOOK_URL": "http://127.0.0.1:9/"}
    assert main("alerts", "list", **watched).out == "There are no open alerts.\n"
    at = datetime(2026, 6, 30, 12, tzinfo=UTC)
    with machine.database.connect() as connection:
        record_findings(
            connection, [Finding("is_fresh", "raw.orders", "acme", "orders are late", "xeno sync acme", at)], at
        )
    assert main("alerts", "list").out == "acme: orders are late (since 2026-06-30 12:00 UTC). Try: xeno sync acme\n"
