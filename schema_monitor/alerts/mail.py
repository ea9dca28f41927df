"""The mail of a message: plain text, every change, the worst first."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMessage

from schema_monitor.alerts.letter import Letter, Line, Told
from schema_monitor.alerts.sent import Sent
from schema_monitor.core.alert_texts import cut, one_line

MOST = 100
NOT_SET_UP = "E-mail is not set up: set EMAIL_URL, e.g. smtp+tls://user:password@mail.example:587"


def compose(letter: Letter, to: Sequence[str]) -> EmailMessage:
    """A repeat has the same Message-ID, so that a mailbox may tell."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
    headers = {"Message-ID": f"<{letter.reference}@{domain}>", "Auto-Submitted": "auto-generated"}
    return EmailMessage(f"[Mendgate] {cut(letter.title, 150)}", _text(letter), to=list(to), headers=headers)


def send(message: EmailMessage) -> Sent:
    """Hands it to the mail server once; never raises for what that does."""
    if settings.MENDGATE.email_url is None:
        return Sent(False, error=NOT_SET_UP)
    began = time.monotonic()
    try:
        message.send()
        sent = Sent(True, 250, mail=True)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        said = "; ".join(f"{to}: {code} {_said(text)}" for to, (code, text) in error.recipients.items())[:500]
        sent = Sent(False, max(codes, default=None), said, mail=True)
    except smtplib.SMTPResponseException as error:
        sent = Sent(False, error.smtp_code, f"{error.smtp_code} {_said(error.smtp_error)}", mail=True)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        sent = Sent(False, error=f"{type(error).__name__}: {_said(str(error))}")
    return sent.after(time.monotonic() - began)


def _text(letter: Letter) -> str:
    if letter.is_test:
        return f"This is a test of the subscription “{letter.subscription}”. Alerts arrive here.\n\n{letter.url}\n"
    parts = [_line(line) for line in letter.lines[:MOST]]
    if len(letter.lines) > MOST:
        parts.append(f"… and {len(letter.lines) - MOST} more.")
    head = f"{letter.origin}, {letter.at:%Y-%m-%d %H:%M:%S} UTC: {letter.url}"
    return "\n\n".join([head, *parts, f"You get this by the subscription “{letter.subscription}”."]) + "\n"


def _line(told: Line) -> str:
    lines = [f"{told.mark.upper()}: {one_line(told.sentence)}", told.who, _by(told), told.step, told.url]
    return "\n    ".join(cut(one_line(line), 600) for line in lines if line)


def _by(told: Line) -> str:
    """Who did it, of a change where the DDL log knows."""
    if not isinstance(told, Told) or not told.by:
        return ""
    return f"Made by {told.by}" + (f" ({told.application})" if told.application else "") + "."


def _said(text: str | bytes) -> str:
    return cut(one_line(text.decode(errors="replace") if isinstance(text, bytes) else text), 300)
