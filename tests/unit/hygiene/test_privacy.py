import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import privacy_secrets, privacy_set
from benchmarks.privacy import judged
from pipeline.hygiene.names import Names
from pipeline.hygiene.privacy import Scrubber
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.records import Interaction

SEED = 7
KEPT = [
    'PUSH #7\nPUSH #12\nADD\nSTORE "total"\nHALT',
    "What is 1234567 + 9876543 * (12 - 4567890) / 8?",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b\nDate: Thu 2025-11-20 14:03:11",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "request 123e4567-e89b-42d3-a456-426614174000 took 0.1234567890123456 s",
    "torch==2.13.0, Windows build 10.0.19.41, ffmpeg version 4.2.7.1",
    "ISBN 978-3-16-148410-0 costs $1,234.56 at 12:30:45 on 24.12.2025",
    "order number 4012888888881882 and 17811/2197, ZIP 02110-1301",
    "52.520008, 13.404954, order 44051401359",
    "(12 - 4567890) * (415 - 6321234), 2125551234 + 4, 212 555 1234 * 2 = ?",
    "std::vector<int>::iterator a::b; color: #c0ffee",
    "192.168.1.17, 10.0.0.3, 127.0.0.1, ::1, 203.0.113.9, 255.255.255.0",
    "user@example.com, admin@mail.example.org, git@github.com:someone/project.git, icon@2x.png",
    "password = getpass.getpass('Password: ')",
    'api_key = os.environ["API_KEY"]; secret = settings.secret; token = tokens[0]',
    "DB_PASSWORD=${DB_PASSWORD}",
    'OpenAI(api_key="<your-api-key>", max_tokens=4096)',
    '{"output_token": "NextToken", "password": "string"}',
    "password: must be at least 12 characters",
    "postgres://user:password@localhost/app",
    'if (password == "") { fail(); }',
    "<EMAIL_1> wrote to <SECRET_2>, see https://<EMAIL_1>:<SECRET_1>@host",
]
PIECES = (
    'a@b.de|4111111111111111|+49 171 2345678|password|:|=|"|hunter2!|<EMAIL_1>|-|/| |\n|://u:|@|AKIAIOSFODNN7EXAMPLE'
    "|93.184.216.34|0171|2345678|(|)|12|.|_"
)


@pytest.fixture(scope="module")
def scrubber() -> Scrubber:
    return Scrubber(keep=["PERSON", "PLACE"])


def interaction(**more: Any) -> dict[str, Any]:
    row = {
        "id": "a" * 24,
        "source": "gateway",
        "at": 1.0,
        "messages": [{"role": "user", "content": "hi"}],
        "answer": "",
    }
    return Interaction.model_validate(row | more).model_dump()


@pytest.mark.parametrize("text", KEPT)
def test_a_text_without_anything_personal_comes_back_as_the_same_object(scrubber: Scrubber, text: str):
    scrubbed = scrubber.scrub(text)
    assert scrubbed.text is text
    assert scrubbed.removed == Counter()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail anna.schmidt@web.de or Anna.Schmidt@WEB.de!", "mail <EMAIL_1> or <EMAIL_1>!"),
        ("contact='bob@proton.me';mailto:eve@bbc.co.uk", "contact='<EMAIL_1>';mailto:<EMAIL_2>"),
        ("call +49 171 2345678 or (415) 273-9164", "call <PHONE_1> or <PHONE_2>"),
        ("pay with 4111 1111 1111 1111 today", "pay with <CARD_1> today"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN <IBAN_1>."),
        ("from 93.184.216.34 and 2606:4700::1111", "from <IP_1> and <IP_2>"),
        ("ether 3c:22:fb:a0:11:9e up", "ether <MAC_1> up"),
        ("send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "send to <WALLET_1>"),
        ("My SSN is 536-22-1234, DNI 12345678Z", "My SSN is <ID_1>, DNI <ID_2>"),
        ("PESEL 44051401359", "PESEL <ID_1>"),
        ('password = "hunter22"', 'password = "<SECRET_1>"'),
        ("my password is hunter22.", "my password is <SECRET_1>."),
        ("my password is hunter22, really", "my password is <SECRET_1>, really"),
        ("PASSWORD=tr0ub4dor&3,x", "PASSWORD=<SECRET_1>"),
        ("?token=abc123def&page=2", "?token=<SECRET_1>&page=2"),
        ("{password: abc123def, user: x}", "{password: <SECRET_1>, user: x}"),
        ("curl -u admin:Tr0ub4dor https://x.io", "curl -u admin:<SECRET_1> https://x.io"),
        ("my social security number is 457551462", "my social security number is <ID_1>"),
        ("电话13800138000", "电话<PHONE_1>"),
        ("redis://:s3cr!t@cache:6379/0", "redis://:<SECRET_1>@cache:6379/0"),
        ("AccountKey=" + "aB3/" * 21 + "aw==;Suffix=x", "AccountKey=<SECRET_1>;Suffix=x"),
        ("az --account-key Zm9vYmFy12== list", "az --account-key <SECRET_1> list"),
        ("Authorization: Bearer 0123456789abcdef0123", "Authorization: Bearer <SECRET_1>"),
    ],
)
def test_what_is_removed_leaves_a_numbered_placeholder_and_the_rest_of_the_text(
    scrubber: Scrubber, text: str, clean: str
):
    assert scrubber.scrub(text).text == clean


@pytest.mark.parametrize("about", privacy_secrets.SECRETS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), before=st.text(max_size=60), after=st.text(max_size=60))
def test_a_secret_of_every_format_goes_wherever_it_stands(
    scrubber: Scrubber, about: str, seed: int, before: str, after: str
):
    random = Random(seed)
    secret = privacy_secrets.SECRETS[about](random)
    around = {"aws secret key": "aws_secret_access_key = '{}'", "azure storage": "AccountKey={};"}
    around |= {"url password": "https://bot:{}@git.acme.io/x", "assignment": 'password: "{}"'}
    clean = scrubber.scrub(f"{before}\n{around.get(about, '{}').format(secret)}\n{after}").text
    assert secret not in clean
    assert secret[: len(secret) // 2] not in clean
    assert secret[len(secret) // 2 :] not in clean


def test_nothing_of_a_private_key_stays_when_its_end_was_cut_off(scrubber: Scrubber):
    key = privacy_secrets.SECRETS["private key"](Random(1))
    cut = "\n".join(key.splitlines()[:-1])
    assert scrubber.scrub(f"look:\n{cut}\n\nis it valid?").text == "look:\n<SECRET_1>\n\nis it valid?"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="@", exclude_categories=["Nd", "No", "Nl"]), max_size=300))
def test_a_text_without_digits_and_at_signs_and_names_of_secrets_is_unchanged(scrubber: Scrubber, text: str):
    assert scrubber.scrub(text).text is text


@pytest.mark.parametrize("seed", range(3))
def test_scrubbing_what_was_scrubbed_changes_nothing(scrubber: Scrubber, seed: int):
    for each in privacy_set.personal(seed, 10) + privacy_secrets.texts(seed, 5):
        once = scrubber.scrub(each.text).text
        assert scrubber.scrub(once).text is once


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(PIECES.split("|")),
        max_size=12,
    )
)
def test_scrubbing_is_idempotent_for_pieces_in_any_order(scrubber: Scrubber, pieces: list[str]):
    once = scrubber.scrub("".join(pieces)).text
    assert scrubber.scrub(once).text is once


def test_a_later_scrubbing_numbers_on_after_the_earlier_one(scrubber: Scrubber):
    assert scrubber.scrub("<EMAIL_3> and anna@web.de").text == "<EMAIL_3> and <EMAIL_4>"


def test_the_same_value_has_the_same_number_in_all_of_an_interaction(scrubber: Scrubber):
    messages = [
        {"role": "system", "content": "You help bob@proton.me."},
        {"role": "user", "content": "I am anna@web.de, password: hunter22 – write to bob@proton.me"},
    ]
    feedback = {"comment": "hunter22 was leaked", "edited": "Dear bob@proton.me", "preferred": "to Anna@web.de"}
    row = interaction(
        messages=messages, answer="anna@web.de wrote hunter22", error="at 93.184.216.34", feedback=feedback
    )
    clean = scrubber.scrub_row(row)
    assert [message["content"] for message in clean.row["messages"]] == [
        "You help <EMAIL_1>.",
        "I am <EMAIL_2>, password: <SECRET_1> – write to <EMAIL_1>",
    ]
    assert clean.row["answer"] == "<EMAIL_2> wrote <SECRET_1>"
    assert clean.row["error"] == "at <IP_1>"
    assert clean.row["feedback"]["comment"] == "<SECRET_1> was leaked"
    assert clean.row["feedback"]["edited"] == "Dear <EMAIL_1>"
    assert clean.row["feedback"]["preferred"] == "to <EMAIL_2>"
    assert clean.removed == {"EMAIL": 6, "SECRET": 3, "IP": 1}
    Interaction.model_validate(clean.row)


def test_a_row_with_nothing_to_remove_is_the_same_object(scrubber: Scrubber):
    row = interaction(feedback={"thumb": -1})
    assert scrubber.scrub_row(row).row is row


def test_identifiers_and_checks_of_a_row_are_not_touched(scrubber: Scrubber):
    row = interaction(user="anna@web.de", answer="anna@web.de", check={"type": "text", "equals": "anna@web.de"})
    clean = scrubber.scrub_row(row).row
    assert (clean["answer"], clean["user"], clean["check"]) == ("<EMAIL_1>", "anna@web.de", row["check"])


def test_a_preference_row_is_scrubbed_in_all_three_parts(scrubber: Scrubber):
    said = [{"role": "user", "content": "anna@web.de"}]
    row = scrubber.scrub_row({"prompt": said, "chosen": said, "rejected": said, "interaction_id": "x"}).row
    assert {row[part][0]["content"] for part in ("prompt", "chosen", "rejected")} == {"<EMAIL_1>"}


def test_classes_to_keep_stay():
    scrubber = Scrubber(keep=["IP", "PHONE", "PERSON", "PLACE"])
    assert scrubber.scrub("93.184.216.34 +49 171 2345678 a@web.de").text == "93.184.216.34 +49 171 2345678 <EMAIL_1>"


def test_the_labelled_set_keeps_its_bars(scrubber: Scrubber):
    personal = judged(scrubber.find, privacy_set.personal(SEED, 15))["all"]
    assert personal["found"] >= 0.95 * personal["labels"]
    assert personal["right"] >= 0.90 * personal["removals"]
    secrets = judged(scrubber.find, privacy_secrets.texts(SEED, 10))["all"]
    assert secrets["found"] == secrets["labels"]


def test_threads_may_share_a_scrubber(scrubber: Scrubber):
    texts = [each.text for each in privacy_set.personal(SEED, 10)]
    with ThreadPoolExecutor(4) as pool:
        together = [each.text for each in pool.map(scrubber.scrub, texts)]
    assert together == [scrubber.scrub(text).text for text in texts]


@pytest.mark.parametrize(
    "piece", ["eyJ", "://a:", "1 ", "password='", "a@", "aGVsbG8x/", "-----BEGIN PRIVATE KEY-----"]
)
def test_long_texts_take_no_more_than_their_share_of_time(scrubber: Scrubber, piece: str):
    started = time.process_time()
    scrubber.find(piece * (50_000 // len(piece)))
    assert time.process_time() - started < 5


def test_the_network_is_never_asked(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert Scrubber(keep=["PERSON", "PLACE"]).scrub("anna@web.de").text == "<EMAIL_1>"


def test_importing_the_scrubber_imports_no_heavy_library():
    code = "import sys, pipeline.hygiene.privacy; print({'presidio_analyzer', 'spacy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.fixture
def model(tmp_path: Path) -> str:
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    entities = [("PERSON", "Anna Lee"), ("GPE", "Munich"), ("PERSON", "torch 2"), ("ORG", "Acme"), ("PERSON", "merge")]
    ruler.add_patterns([{"label": label, "pattern": pattern} for label, pattern in entities])
    pipeline.to_disk(tmp_path / "model")
    return str(tmp_path / "model")


def test_names_and_places_go_where_a_model_finds_them(model: str):
    scrubber = Scrubber(ner_model=model)
    assert scrubber.looks_for_names
    scrubbed = scrubber.scrub("Anna Lee of Acme went to Munich; torch 2, merge. Anna Lee!")
    assert scrubbed.text == "<PERSON_1> of Acme went to <PLACE_1>; torch 2, merge. <PERSON_1>!"
    assert scrubbed.removed == {"PERSON": 2, "PLACE": 1}


@pytest.mark.parametrize("filling", ["word ", "line\n", "x"])
def test_names_are_found_in_texts_longer_than_a_model_takes_at_once(model: str, filling: str):
    names = Names(model)
    half = filling * (510_000 // len(filling))
    text = f"{half} Anna Lee {half} Munich"
    found = [(each.start, each.end, each.kind) for each in names.find(text)]
    at = len(half) + 1
    assert found == [(at, at + len("Anna Lee"), "PERSON"), (len(text) - len("Munich"), len(text), "PLACE")]


def test_a_model_that_is_not_installed_is_named():
    with pytest.raises(ConfigurationError, match="absent_model is not installed"):
        Scrubber(ner_model="absent_model")


def test_without_a_model_names_are_not_looked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.hygiene.names._USUAL", ())
    assert not Scrubber().looks_for_names
