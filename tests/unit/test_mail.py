import time
from collections.abc import Iterator
from email import message_from_bytes
from email.headerregistry import UniqueAddressHeader
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from receivers import SECRET, Mailbox, mailbox, make_certificate

from pipeline.backends.notifiers.email import Email, compose
from pipeline.backends.notifiers.interface import Message, NotificationError
from pipeline.lib.sections import Notify

MESSAGE = Message(
    "besser: 51 → 79 %",
    "Wörter <b>& mehr</b>",
    {"took": "7 min", "server": "antwortet <nicht>"},
    "Not happy? `nightschool rollback`.",
    "good",
    link="https://dashboard.example/?night=1&page=2",
)
PASSWORD = "P4SSW0RD"


def settings(server: Mailbox, **more: Any) -> Notify:
    address = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "timeout": 5}
    return Notify(**{"email_to": ["ada@example.org"], "email_from": "nights@example.org", **address, **more})


def received(server: Mailbox) -> EmailMessage:
    (envelope,) = server.envelopes
    content = envelope.content
    assert isinstance(content, bytes)
    mail = message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def refused(notify: Notify) -> str:
    with pytest.raises(NotificationError) as caught:
        Email(notify).send(MESSAGE)
    error = caught.value
    shown = f"{error} {error!r} {error.hint} {error.__cause__} {error.__context__}"
    assert PASSWORD not in shown
    assert SECRET not in shown
    return str(error).removeprefix("the mail server did not take the message: ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server() -> Iterator[Mailbox]:
    with mailbox() as told:
        yield told


def test_a_mail_has_all_headers_and_says_the_same_as_text_and_as_html(server: Mailbox):
    Email(settings(server, email_to=["ada@example.org", "grace@example.org"])).send(MESSAGE)
    mail = received(server)
    assert server.envelopes[0].rcpt_tos == ["ada@example.org", "grace@example.org"]
    assert mail["Subject"] == "✅ besser: 51 → 79 %"
    assert mail["From"] == "Nightschool <nights@example.org>"
    assert mail["To"] == "ada@example.org, grace@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert abs(parsedate_to_datetime(mail["Date"]).timestamp() - time.time()) < 60
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == [
        "✅ besser: 51 → 79 %",
        "",
        "Wörter <b>& mehr</b>",
        "",
        "took: 7 min",
        "server: antwortet <nicht>",
        "",
        "Not happy? nightschool rollback.",
        "",
        "https://dashboard.example/?night=1&page=2",
    ]
    written = html.get_content()
    assert "<p>Wörter &lt;b&gt;&amp; mehr&lt;/b&gt;</p>" in written
    assert "<td>antwortet &lt;nicht&gt;</td>" in written
    assert 'href="https://dashboard.example/?night=1&amp;page=2"' in written


@pytest.mark.parametrize("tls", [False, True])
def test_login_happens_behind_starttls_or_tls_with_a_certificate_that_is_trusted(
    certificate: tuple[Path, Path], tls: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with mailbox(certificate, PASSWORD, tls) as server:
        security = "tls" if tls else "starttls"
        Email(settings(server, smtp_security=security, smtp_user="ada", smtp_password=PASSWORD)).send(MESSAGE)
    assert server.logins == [b"ada"]
    assert received(server)["Subject"] == "✅ besser: 51 → 79 %"


@pytest.mark.parametrize("tls", [False, True])
def test_a_certificate_that_nobody_signed_ends_it_before_the_login(certificate: tuple[Path, Path], tls: bool):
    with mailbox(certificate, PASSWORD, tls) as server:
        security = "tls" if tls else "starttls"
        problem = refused(settings(server, smtp_security=security, smtp_user="ada", smtp_password=PASSWORD))
    assert problem == "its certificate is not trusted"
    assert (server.logins, server.envelopes) == ([], [])


def test_a_server_that_offers_no_encryption_never_sees_the_password():
    with mailbox(password=PASSWORD) as server:
        problem = refused(settings(server, smtp_security="starttls", smtp_user="ada", smtp_password=PASSWORD))
    assert problem.startswith("it offers no encryption")
    assert server.logins == []


def test_a_wrong_password_is_not_repeated_and_not_tried_again():
    with mailbox(password=PASSWORD) as server:
        problem = refused(settings(server, smtp_user="ada", smtp_password=f"{SECRET}{PASSWORD}"))
    assert problem == "SMTP 535"
    assert len(set(server.logins)) == 1


def test_a_server_that_asks_for_patience_is_tried_again(server: Mailbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    server.answers = ["451 try later"]
    Email(settings(server)).send(MESSAGE)
    assert len(server.envelopes) == 2


def test_patience_ends_after_three_tries(server: Mailbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    server.recipient = f"451 {SECRET}"
    assert refused(settings(server)) == "all addresses were refused"
    server.recipient, server.answers = "250 OK", [f"554 {SECRET}"]
    assert refused(settings(server)) == "SMTP 554"
    assert len(server.envelopes) == 1


def test_an_address_that_is_refused_is_a_problem_even_if_others_are_not(server: Mailbox):
    addresses = ["ada@example.org", f"refused-{SECRET}@example.org"]
    assert refused(settings(server, email_to=addresses)) == "1 of 2 addresses were refused"
    assert len(server.envelopes) == 1


def test_nobody_listening_and_no_such_host_are_said_in_words(server: Mailbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert refused(settings(server, smtp_port=1)) == "nobody listens there"
    assert refused(settings(server, smtp_host="nothing.invalid", smtp_security="tls")) == "no such host"


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_host": "mail.example.org", "smtp_security": "plain"},
        {"email_to": ["ada"]},
        {"email_to": ["ada@example.org\nBcc: eve@example.org"]},
        {"email_to": ["ada@exam..ple.org"]},
        {"email_to": ["ada@example.org"], "email_from": "Ada <ada@example.org>"},
    ],
)
def test_what_would_send_a_password_in_the_open_or_break_a_header_is_no_setting(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        Notify(**wrong)


@given(st.text(st.characters(exclude_categories=()), max_size=300) | st.just("a\r\nBcc: eve@example.org\r\n\r\nbody"))
def test_no_text_becomes_a_header(text: str):
    mail = compose(Message(text, text, {text: text}, text), Notify(email_to=["ada@example.org"]))
    again = message_from_bytes(mail.as_bytes(), policy=default)
    expected = ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert sorted(again.keys()) == sorted(expected)
    assert isinstance(again["To"], UniqueAddressHeader)
    assert [each.addr_spec for each in again["To"].addresses] == ["ada@example.org"]
    assert len(str(again["Subject"])) <= 150


def test_a_domain_beyond_ascii_is_written_as_the_mail_system_knows_it(server: Mailbox):
    Email(settings(server, email_to=["ada@bücher.example"], email_from=None)).send(MESSAGE)
    assert server.envelopes[0].rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert received(server)["Message-ID"].endswith("@xn--bcher-kva.example>")
