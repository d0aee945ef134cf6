"""The channels that alerts are sent by: e-mail, and Slack-compatible webhooks."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol
from urllib.parse import unquote, urlsplit

import requests
from pydantic import SecretStr

from xeno_pipeline.errors import UsageError, XenoError
from xeno_pipeline.settings import Settings

_TIMEOUT_SECONDS = 10.0
"""For each step of a delivery; a sensor's tick has a minute for all of them."""

_SUBMISSION_PORT = 587
_SUBMISSION_OVER_TLS_PORT = 465


class NotDeliveredError(XenoError):
    """A message could not be delivered now."""


@dataclass(frozen=True)
class Message:
    """One message.

    Args:
        name: identifies it; repeated deliveries have the same name.
    """

    name: str
    subject: str
    body: str


class Channel(Protocol):
    """A way to send messages."""

    @property
    def name(self) -> str:
        """The channel's name."""

    def send(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            NotDeliveredError: it failed, and may be retried.
        """


@dataclass(frozen=True)
class Email:
    """Mail through an SMTP server.

    Args:
        url: `smtp://user:password@host:587`, over TLS where the server offers it, or `smtps://…`. A password is never
            sent in the clear.
        sender: an address.
        recipients: addresses.
    """

    url: str = field(repr=False)
    sender: str
    recipients: Sequence[str]
    name: str = "email"

    def send(self, message: Message) -> None:
        """Deliver a message to all recipients; see `Channel`."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.subject, self.sender, ", ".join(self.recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.name}.xeno@{self.sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.body)
        try:
            with self._connect() as server:
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:  # its text may quote the mail
            raise NotDeliveredError(
                f"The mail server of XENO_SMTP_URL rejected the mail ({type(error).__name__}): "
                "see its log, and correct the setting."
            ) from error

    def _connect(self) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        host, context = parts.hostname or "", ssl.create_default_context()
        if parts.scheme == "smtps":
            port = parts.port or _SUBMISSION_OVER_TLS_PORT
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or _SUBMISSION_PORT, timeout=_TIMEOUT_SECONDS)
            server.ehlo()
            if parts.password or server.has_extn("starttls"):
                server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        return server


@dataclass(frozen=True)
class Webhook:
    """A webhook of Slack, or a compatible one (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

    url: str = field(repr=False)
    name: str = "webhook"

    def send(self, message: Message) -> None:
        """Post a message; see `Channel`."""
        text = f"*{message.subject}*\n{message.body}"
        for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(character, escaped)
        try:
            response = requests.post(self.url, json={"text": text}, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
            response.raise_for_status()
        except requests.RequestException as error:  # its text quotes the URL, which is a secret
            status = f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
            raise NotDeliveredError(
                f"The webhook of XENO_ALERT_WEBHOOK_URL rejected the message ({status}): correct the setting."
            ) from None


def mail_to(settings: Settings, recipient: str) -> Email | None:
    """The mail to one recipient; None where no mail server is configured.

    Raises:
        UsageError: one is configured incompletely.
    """
    if settings.smtp_url is None:
        return None
    if settings.alert_email_from is None:
        raise UsageError("Mail by XENO_SMTP_URL needs a sender too: set XENO_ALERT_EMAIL_FROM.")
    return Email(_smtp_url(settings.smtp_url), settings.alert_email_from, [recipient])


def channels(settings: Settings) -> list[Channel]:
    """The channels that are configured; none by default.

    Raises:
        UsageError: one is configured incompletely.
    """
    found: list[Channel] = []
    mail = (settings.alert_email_to, settings.alert_email_from, settings.smtp_url)
    if any(mail):
        to, sender, url = mail
        if to is None or sender is None or url is None:
            raise UsageError("Alerts by e-mail need XENO_ALERT_EMAIL_TO, XENO_ALERT_EMAIL_FROM and XENO_SMTP_URL.")
        found.append(Email(_smtp_url(url), sender, [each.strip() for each in to.split(",")]))
    if settings.alert_webhook_url is not None:
        found.append(Webhook(settings.alert_webhook_url.get_secret_value()))
    return found


def _smtp_url(url: SecretStr) -> str:
    if urlsplit(url.get_secret_value()).scheme not in ("smtp", "smtps"):
        raise UsageError("XENO_SMTP_URL is not an SMTP URL: expected smtp://user:password@host:587.")
    return url.get_secret_value()
