"""Somebody to tell: a mail server and a webhook on loopback, which keep what they are sent and can refuse it."""

from __future__ import annotations

import json
import socketserver
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.loopback import Quiet


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as it takes to receive mail."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.mails: list[EmailMessage] = []
        self.is_refusing = False

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 mail.example")
        while line := self.rfile.readline().strip().upper():
            if line == b"QUIT":
                self._say("221 bye")
                return
            if line.startswith(b"MAIL") and self.server.is_refusing:
                self._say("451 come again")
            elif line == b"DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                mail = message_from_bytes(b"".join(lines), policy=policy.default)
                assert isinstance(mail, EmailMessage)
                self.server.mails.append(mail)
                self._say("250 taken")
            else:
                self._say("250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class WebhookServer(ThreadingHTTPServer):
    """An incoming webhook."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.texts: list[str] = []
        self.is_refusing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/secret-path"


class _Post(Quiet, BaseHTTPRequestHandler):
    server: WebhookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.is_refusing:
            self.server.texts.append(json.loads(body)["text"])
        self.send_response(503 if self.server.is_refusing else 200)
        self.end_headers()
