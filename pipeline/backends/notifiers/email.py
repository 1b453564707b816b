"""E-mail: text and the same as simple HTML, over SMTP.

What a server says is not repeated: it may hold an address or a login.
"""

import html
import smtplib
import ssl
import time
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Literal

from pipeline.backends.notifiers.interface import Message, NotificationError
from pipeline.backends.notifiers.transport import TRIES, can_pass, in_words, wait_for
from pipeline.backends.notifiers.wording import fit
from pipeline.lib import sections

_SUBJECT, _TEXT = 150, 4000
_PORTS = {"tls": 465, "starttls": 587, "plain": 25}


class Email:
    """See `pipeline.backends.notifiers.interface.Notifier`."""

    def __init__(self, settings: sections.Notify) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        """Deliver to every address; what is temporary is tried again, at most twice."""
        problem = ""
        for attempt in range(TRIES):
            again = True
            try:
                refused = self._deliver(compose(message, self._settings))
                if not refused:
                    return
                problem, again = f"{refused} of {len(self._settings.email_to)} addresses were refused", False
            except smtplib.SMTPResponseException as error:
                problem, again = f"SMTP {error.smtp_code}", 400 <= error.smtp_code < 500
            except smtplib.SMTPRecipientsRefused as error:
                problem, again = "all addresses were refused", all(code < 500 for code, _ in error.recipients.values())
            except Exception as error:
                problem, again = _in_words(error), can_pass(error)
            if not again:
                break
            if attempt + 1 < TRIES:
                time.sleep(wait_for({}, attempt))
        raise NotificationError(f"the mail server did not take the message: {problem}", "check notify.smtp_…")

    def _deliver(self, mail: EmailMessage) -> int:
        """How many addresses were refused."""
        asked = self._settings
        security = _security(asked)
        port = asked.smtp_port or _PORTS[security]
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if security == "tls":
            server = smtplib.SMTP_SSL(asked.smtp_host, port, timeout=asked.timeout, context=context)
        else:
            server = smtplib.SMTP(asked.smtp_host, port, timeout=asked.timeout)
        with server:
            if security == "starttls":
                server.starttls(context=context)
            if asked.smtp_user:
                server.login(asked.smtp_user, asked.smtp_password.get_secret_value() if asked.smtp_password else "")
            return len(server.send_message(mail))


def compose(message: Message, settings: sections.Notify) -> EmailMessage:
    """The mail, with all its headers."""
    facts = {fit(name, 100): fit(value, _TEXT) for name, value in message.facts.items()}
    step = fit(message.next_step, _TEXT).replace("`", "")
    headline, text, link = fit(message.headline, 500), fit(message.text, _TEXT), fit(message.link, _TEXT)
    parts = [
        headline,
        text,
        "\n".join(f"{name}: {value}" for name, value in facts.items()),
        step,
        link,
    ]
    mail = EmailMessage(SMTP)
    sender = _sender(settings)
    mail["Subject"] = fit(message.headline, _SUBJECT)
    mail["From"] = Address("Nightschool", *_parts(sender))
    mail["To"] = [Address("", *_parts(address)) for address in settings.email_to]
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=_parts(sender)[1])
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    mail.set_content("\n\n".join(part for part in parts if part) + "\n")
    mail.add_alternative(_html(headline, text, facts, step, link), subtype="html")
    return mail


def _html(headline: str, text: str, facts: dict[str, str], step: str, link: str) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    paragraphs = [
        f"<h3>{html.escape(headline)}</h3>",
        f"<p>{html.escape(text)}</p>" if text else "",
        f'<table cellpadding="4">{rows}</table>' if rows else "",
        f"<p>{html.escape(step)}</p>" if step else "",
        f'<p><a href="{html.escape(link)}">{html.escape(link)}</a></p>' if link else "",
    ]
    return f"<!doctype html>\n<html><body>\n{chr(10).join(each for each in paragraphs if each)}\n</body></html>\n"


def _security(settings: sections.Notify) -> Literal["tls", "starttls", "plain"]:
    if settings.smtp_security == "auto":
        if settings.smtp_port == _PORTS["tls"]:
            return "tls"
        return "plain" if sections.is_this_machine(settings.smtp_host) else "starttls"
    return "plain" if settings.smtp_security == "insecure" else settings.smtp_security


def _sender(settings: sections.Notify) -> str:
    return settings.email_from or settings.email_to[0]


def _parts(address: str) -> tuple[str, str]:
    """Name and domain; the domain as the mail system writes it."""
    name, _, domain = address.rpartition("@")
    return name, domain.encode("idna").decode()


def _in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "it offers no encryption, or no login, of the kind that is asked for"
    return "it hung up" if isinstance(error, smtplib.SMTPServerDisconnected) else in_words(error)
