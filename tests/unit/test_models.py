"""The registry before real servers on loopback ports: who is chosen, what a test finds, what is remembered."""

import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import handmade
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_servers import MODEL, Answers, ModelServer, clever, dull
from stand_in import send

from pipeline import models as stage
from pipeline.backends.providers import facts as measured
from pipeline.backends.providers.choice import fallback
from pipeline.backends.providers.exam import FAST
from pipeline.backends.providers.facts import Exam, Facts
from pipeline.backends.providers.guesses import guessed
from pipeline.backends.providers.interface import Options
from pipeline.backends.providers.registry import CAPABILITIES, chosen, in_order, known, named
from pipeline.commands.models import show_chain
from pipeline.doctor import doctor
from pipeline.lib.base_model import base_sha256
from pipeline.lib.config import Settings, load
from pipeline.lib.errors import ConfigurationError, UnavailableError, UsageError
from pipeline.lib.sections import ProviderModel
from pipeline.lib.text import without_logins

DOCS = Path(__file__).resolve().parents[2] / "docs" / "models.md"
KINDS = ["ollama", "openai"]
CHAT = [{"role": "user", "content": "the one word yes"}]
SECRETS = ("s3cret-key", "s3cret-word")


class Servers:
    """Started on demand, stopped at the end."""

    def __init__(self) -> None:
        self._started: list[ModelServer] = []

    def __call__(self, answers: Answers = clever, delay: float = 0.0) -> ModelServer:
        self._started.append(ModelServer(answers, delay))
        return self._started[-1]

    def stop(self) -> None:
        for each in self._started:
            each.stop()


@pytest.fixture
def serve() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.backends.providers.ollama._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("pipeline.backends.providers.openai._FIRST_PAUSE", 0.01)


def entry(name: str, server: ModelServer | str, kind: str = "openai", **more: Any) -> dict[str, Any]:
    url = server if isinstance(server, str) else server.url
    return {"name": name, "kind": kind, "url": url, "model": MODEL, "capabilities": ["reasoning"], **more}


def installed(home: Path, *entries: dict[str, Any], **more: Any) -> Settings:
    providers = {"models": list(entries), "order": [], "timeout": 5, "attempts": 1, **more}
    return handmade.make_settings(home, providers=providers)


def facts_of(settings: Settings, name: str) -> Facts:
    return measured.read(settings.layout).get(named(settings, name).key, Facts())


def refuse(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b'{"error": {"message": "out of memory at http://u:s3cret-word@gpu/"}}', 400)


def write(home: Path, text: str) -> None:
    (home / "nightschool.toml").write_text(text, encoding="utf-8")


# What is in the settings


def test_entries_of_the_file_come_first_then_those_that_order_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        [providers]
        order = ["embedded", "ollama"]
        ollama_model = "qwen3:4b"
        openai_model = "left out: it has no url"
        [[providers.models]]
        name = "big"
        kind = "openai"
        url = "http://gpu:8000/v1"
        model = "some-model"
        capabilities = ["reasoning", "long_context"]
        context = 32768
        price_in = 0.5
        key_variable = "BIG_KEY"
        speed = 40
        [[providers.models]]
        name = "coder"
        kind = "ollama"
        model = "qwen2.5-coder:7b"
        """,
    )
    big, coder, embedded, ollama = known(load(tmp_path))
    assert (embedded.name, ollama.name) == ("embedded", "ollama")
    assert big.capabilities == ("long_context", "reasoning")
    assert (big.guessed, big.context, big.price_in, big.price_out, big.speed) == (False, 32768, 0.5, 0, 40)
    assert coder.guessed
    assert "code_generation" in coder.capabilities
    assert ollama.capabilities == guessed("qwen3:4b", None)


@pytest.mark.parametrize(
    ("more", "message", "hint"),
    [
        ('capabilites = ["reasoning"]', "providers.models.0.capabilites", "'capabilities'"),
        ('capabilities = ["reasonin"]', "reasonin", ""),
        ('kind = "openai"', "needs a url", ""),
        ('name = "embedded"', "'embedded' is taken", ""),
        ("context = 0", "context", ""),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(tmp_path: Path, more: str, message: str, hint: str) -> None:
    key = more.partition(" ")[0]
    lines = {"name": 'name = "a"', "kind": 'kind = "ollama"', "model": 'model = "m"', key: more}
    write(tmp_path, "[[providers.models]]\n" + "\n".join(lines.values()))
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(tmp_path)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "lines",
    [
        'key_variable = "s3cret-key"',
        'key = "s3cret-key"',
        'url = ["http://u:s3cret-word@gpu"]',
        'kind = "http://u:s3cret-word@gpu"',
        'url = "http://u:s3cret-word@gpu"\nspeed = -1',
        'url = "http://u:s3cret-word@gpu"\ncontext = "many"\nmodel = 3',
    ],
)
def test_a_secret_in_a_wrong_entry_is_not_shown(tmp_path: Path, lines: str) -> None:
    write(tmp_path, f'[[providers.models]]\nname = "a"\n{lines}')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert not any(each in f"{caught.value} {caught.value.hint}" for each in SECRETS)


def test_an_unknown_name_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    settings = installed(tmp_path, entry("large", "http://gpu"))
    with pytest.raises(ConfigurationError, match="'lagre'") as caught:
        named(settings, "lagre")
    assert "'large'" in caught.value.hint


def test_an_unknown_capability_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'reason'") as caught:
        chosen(installed(tmp_path), ["reason"])
    assert "'reasoning'" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "context", "some", "none"),
    [
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", None, {"code_generation", "fast_inference"}, {"reasoning"}),
        ("deepseek-r1:70b", None, {"reasoning"}, {"fast_inference"}),
        ("qwen3:30b-a3b", 65_536, {"reasoning", "long_context"}, {"fast_inference"}),
        ("mixtral:8x7b", None, {"instruction_following"}, {"fast_inference"}),
        ("qwen3-embedding:0.6b", 65_536, set(), set(CAPABILITIES)),
        ("our-own", None, set(), set(CAPABILITIES)),
        ("/models/coder/our-own", None, set(), set(CAPABILITIES)),
    ],
)
def test_names_tell_what_is_guessed(model: str, context: int | None, some: set[str], none: set[str]) -> None:
    found = set(guessed(model, context))
    assert some <= found <= set(CAPABILITIES)
    assert not none & found


@given(st.text("aé9:@%!'\"&;[]\\"))
def test_no_login_stays_in_an_address(login: str) -> None:
    assert without_logins(f"at http://{login}@gpu:8000/v1.") == "at http://gpu:8000/v1."


def code_of_docs(kind: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for language, text in blocks if language == kind]


def test_the_example_of_the_docs_ends_as_it_says(
    tmp_path: Path, serve: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, rack = serve(), serve()
    rack.others["/v1/models"] = {"data": [{"id": "gpt-oss-120b"}]}
    monkeypatch.setenv("OLLAMA_HOST", desk.url)
    monkeypatch.setenv("RACK_KEY", "s3cret-key")
    write(tmp_path, code_of_docs("toml")[0].replace("http://rack:8000", rack.url))
    settings = load(tmp_path)
    blocks = code_of_docs("")
    assert "1. rack" in blocks[1]
    assert "1. coder" in blocks[2]
    for expected in blocks[1:3]:
        show_chain(stage.select(settings, ["reasoning", "code_generation"]))
        assert capsys.readouterr().out == expected
        rack.stop()


def test_the_docs_explain_every_key_and_every_capability() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{each}`" in text for each in [*ProviderModel.model_fields, *CAPABILITIES])


# Who is chosen

_capabilities = st.lists(st.sampled_from(CAPABILITIES), unique=True)
_results = st.dictionaries(
    st.sampled_from(CAPABILITIES), st.integers(0, 3).map(lambda passed: {"passed": passed, "of": 3})
)
_facts = st.builds(
    Facts,
    last_error_at=st.floats(0, 2e9),
    failures=st.integers(0, 2000),
    tests=st.lists(
        st.builds(Exam, st.just(0.0), st.none() | st.floats(0.1, 900), st.none() | st.floats(0, 9), _results),
        max_size=5,
    ).map(tuple),
)


@st.composite
def registries(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Facts]]:
    count = draw(st.integers(0, 6))
    entries = [
        entry(
            f"m{number}",
            f"http://gpu:{8000 + number}",
            capabilities=draw(_capabilities),
            speed=draw(st.sampled_from([None, 1.0, 50.0])),
        )
        for number in range(count)
    ]
    return entries, draw(st.dictionaries(st.sampled_from([each["name"] for each in entries] or [""]), _facts))


@given(registries(), _capabilities)
def test_a_chain_is_every_able_model_once_the_well_ones_first_and_of_those_the_fast_ones(
    registry: tuple[list[dict[str, Any]], dict[str, Facts]], needs: list[str]
) -> None:
    entries, by_name = registry
    models = known(Settings(home=Path("/nowhere"), providers={"models": entries, "order": []}))
    able = [each for each in models if each.can(needs)]
    assert [each.name for each in able] == [each["name"] for each in entries if set(needs) <= set(each["capabilities"])]
    facts = {each.key: by_name[each.name] for each in models if each.name in by_name}
    chain = in_order(able, facts, needs)
    assert sorted(each.model.name for each in chain) == sorted(each.name for each in able)
    assert chain == in_order(able, facts, needs)
    place = {each.name: number for number, each in enumerate(models)}
    for first, second in pairwise(chain):
        assert (first.resting, len(first.failing), -first.speed, place[first.model.name]) < (
            second.resting,
            len(second.failing),
            -second.speed,
            place[second.model.name],
        )


def test_measured_speed_goes_before_expected_speed_and_a_failed_test_behind_both(tmp_path: Path) -> None:
    settings = installed(
        tmp_path,
        entry("hoped", "http://a", speed=90),
        entry("slower", "http://b", speed=1),
        entry("faster", "http://c"),
        entry("other", "http://d", capabilities=["long_context"]),
    )
    for name, speed, passed in (("hoped", 30.0, 4), ("slower", 10.0, 4), ("faster", 80.0, 1)):
        exam = Exam(time.time(), speed, 0.1, {"reasoning": {"passed": passed, "of": 4}})
        measured.tested(settings.layout, named(settings, name).key, exam)
    assert [each.name for each in chosen(settings, ["reasoning"])] == ["hoped", "slower", "faster"]
    assert [each.name for each in chosen(settings, ["reasoning"], exclude=["hoped"])] == ["slower", "faster"]
    assert [each.name for each in chosen(settings, [])] == ["faster", "hoped", "slower", "other"]
    assert chosen(settings, ["reasoning", "long_context"]) == []


# What is remembered


def test_a_failure_counts_for_a_minute_many_for_an_hour_and_none_forever() -> None:
    once, often = (Facts(last_error_at=1000.0, failures=number) for number in (1, 99))
    assert [once.resting(1000.0 + after) for after in (0, 59, 61)] == [True, True, False]
    assert [often.resting(1000.0 + after) for after in (61, 3599, 3601)] == [True, True, False]
    assert not once.resting(900.0)  # the clock was put back: it may not keep the model out until then
    assert not Facts().resting()


def test_numbers_are_medians_of_the_last_tests(tmp_path: Path) -> None:
    settings = installed(tmp_path, entry("a", "http://a"))
    for speed in (1.0, 1.0, 1.0, 50.0, 40.0, None, 900.0, 45.0):
        measured.tested(settings.layout, named(settings, "a").key, Exam(0.0, speed, speed, {}))
    assert facts_of(settings, "a").tokens_per_second == 47.5
    assert len(facts_of(settings, "a").tests) == measured.KEPT


def test_another_model_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    settings = installed(tmp_path, entry("a", "http://a"))
    measured.failed(settings.layout, named(settings, "a").key, "gone")
    assert facts_of(settings, "a").failures == 1
    assert facts_of(installed(tmp_path, entry("a", "http://b")), "a").failures == 0


@pytest.mark.parametrize("content", ["", "[]", '{"models": [1]}', '{"models": {"a": {"tests": 3}}}', '{"models'])
def test_facts_that_cannot_be_read_are_measured_again(tmp_path: Path, content: str) -> None:
    settings = installed(tmp_path, entry("a", "http://a"))
    settings.layout.models.parent.mkdir(exist_ok=True)
    settings.layout.models.write_text(content)
    assert [each.name for each in chosen(settings, ["reasoning"])] == ["a"]
    measured.failed(settings.layout, named(settings, "a").key, "gone")
    assert facts_of(settings, "a").last_error == "gone"


def _fail_often(layout: Any, key: str) -> None:
    for _ in range(20):
        measured.failed(layout, key, "gone")


def test_no_failure_is_lost_when_several_processes_write(tmp_path: Path) -> None:
    settings = installed(tmp_path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_fail_often, args=(settings.layout, key)) for key in ("a", "a", "b")]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert {key: facts.failures for key, facts in measured.read(settings.layout).items()} == {"a": 40, "b": 20}


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_chain_knows_who_failed_in_this_one(tmp_path: Path, serve: Servers, kind: str) -> None:
    rude, kind_one = serve(), serve()
    rude.manners = refuse
    settings = installed(tmp_path, entry("first", rude, kind), entry("second", kind_one, kind))
    chain = fallback(settings, chosen(settings, ["reasoning"]))
    assert chain.ask(CHAT, Options()) == "yes"
    chain.close()
    assert [each.name for each in chosen(settings, ["reasoning"])] == ["second", "first"]
    assert facts_of(settings, "first").failures == 1
    assert "out of memory" in str(facts_of(settings, "first").last_error)
    assert "s3cret" not in settings.layout.models.read_text()
    assert facts_of(settings, "second").last_success is not None


def test_an_answer_makes_up_for_earlier_failures(tmp_path: Path, serve: Servers) -> None:
    settings = installed(tmp_path, entry("only", serve()))
    measured.failed(settings.layout, named(settings, "only").key, "gone")
    chain = fallback(settings, chosen(settings, ["reasoning"]))
    assert chain.ask(CHAT, Options()) == "yes"
    chain.close()
    assert facts_of(settings, "only").failures == 0
    assert facts_of(settings, "only").last_error == "gone"


def test_answers_do_not_depend_on_being_able_to_remember(tmp_path: Path, serve: Servers) -> None:
    settings = installed(tmp_path, entry("only", serve()))
    settings.layout.models.mkdir(parents=True)  # nothing can be published under that name
    chain = fallback(settings, known(settings))
    assert chain.ask(CHAT, Options()) == "yes"
    chain.close()


# What a test finds


@pytest.mark.parametrize("kind", KINDS)
def test_a_clever_model_passes_everything_that_can_be_asked(tmp_path: Path, serve: Servers, kind: str) -> None:
    server = serve(clever)
    settings = installed(tmp_path, entry("clever", server, kind, context=4096))
    (found,) = stage.test(settings, "clever", timeout=5)["models"]
    assert {each: said["passed"] == said["of"] for each, said in found["results"].items()} == dict.fromkeys(
        CAPABILITIES, True
    )
    longest = max(map(len, server.prompts))
    assert 4096 * 0.5 < longest / 3 < 4096 * 0.7
    facts = facts_of(settings, "clever")
    assert facts.tokens_per_second == found["tokens_per_second"] > FAST
    assert facts.passed("reasoning") is True
    if kind == "ollama":
        assert server.options["num_ctx"] == 4096


@pytest.mark.parametrize("kind", KINDS)
def test_a_dull_model_passes_nothing_and_goes_behind(tmp_path: Path, serve: Servers, kind: str) -> None:
    settings = installed(tmp_path, entry("dull", serve(dull), kind), entry("untested", "http://gpu", kind))
    (found,) = stage.test(settings, "dull", timeout=5)["models"]
    said = {each: found["results"][each] for each in CAPABILITIES if each != "fast_inference"}
    assert "context" in said.pop("long_context")["not_run"]
    assert all(each["passed"] == 0 and each["of"] >= 3 for each in said.values())
    assert [each.name for each in chosen(settings, ["reasoning"])] == ["untested", "dull"]


def test_a_server_that_counts_no_tokens_has_no_speed(tmp_path: Path, serve: Servers) -> None:
    server = serve()
    server.manners = lambda handler: send(handler, json.dumps({"choices": [{"message": {"content": "yes"}}]}).encode())
    settings = installed(tmp_path, entry("silent", server))
    (found,) = stage.test(settings, "silent", timeout=5)["models"]
    assert found["tokens_per_second"] is None
    assert "how many tokens" in found["results"]["fast_inference"]["not_run"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_model_is_given_up_and_another_one_is_still_tested(tmp_path: Path, serve: Servers, kind: str) -> None:
    slow, fast = serve(clever, delay=3), serve(clever)
    settings = installed(tmp_path, entry("slow", slow, kind), entry("fast", fast, kind))
    begun = time.monotonic()
    first, second = stage.test(settings, None, timeout=0.5)["models"]
    assert time.monotonic() - begun < 3
    assert "within 0.5 s" in first["error"]
    assert second["results"]["reasoning"] == {"passed": 4, "of": 4}
    assert [each.name for each in chosen(settings, ["reasoning"])] == ["fast", "slow"]


def test_what_became_too_slow_says_so_and_the_rest_goes_on(tmp_path: Path, serve: Servers) -> None:
    def answers(prompt: str) -> str:
        if "litres" in prompt:
            time.sleep(1)
        return clever(prompt)

    settings = installed(tmp_path, entry("uneven", serve(answers)))
    (found,) = stage.test(settings, None, timeout=0.4)["models"]
    assert "within 0.4 s" in found["results"]["reasoning"]["not_run"]
    assert found["results"]["instruction_following"] == {"passed": 3, "of": 3}
    assert facts_of(settings, "uneven").passed("reasoning") is None


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, and no end: no read of it ever times out."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


def welcome(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"<html>welcome</html>", kind="text/html")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("manners", [drip, welcome, refuse])
def test_a_rude_server_fails_the_test_and_leaves_no_secret(
    tmp_path: Path, serve: Servers, kind: str, manners: Any
) -> None:
    server = serve()
    server.manners = manners
    settings = installed(tmp_path, entry("rude", server, kind))
    with pytest.raises(UnavailableError, match=MODEL) as caught:
        stage.test(settings, "rude", timeout=0.5)
    assert "s3cret" not in str(caught.value)
    assert facts_of(settings, "rude").failures == 1


# The commands


def test_a_list_says_who_answers_now(tmp_path: Path, serve: Servers) -> None:
    there, gone = serve(), serve()
    gone.stop()
    settings = installed(
        tmp_path, entry("there", there, "ollama"), entry("gone", gone), entry("other", there, model="x")
    )
    found = stage.models(settings)["models"]
    assert [(each["name"], each["healthy"]) for each in found] == [("there", True), ("gone", False), ("other", False)]
    assert stage.models(settings)["models"][1]["failures"] == 2
    assert facts_of(settings, "there") == Facts()


def test_a_server_that_is_back_is_asked_again_at_once(tmp_path: Path, serve: Servers) -> None:
    server = serve()
    settings = installed(tmp_path, entry("first", server), entry("second", serve()))
    server.others["/v1/models"] = {"data": []}
    assert stage.select(settings, ["reasoning"])["chain"][0]["name"] == "second"
    server.others["/v1/models"] = {"data": [{"id": MODEL}]}
    assert stage.select(settings, ["reasoning"])["chain"][0]["name"] == "first"


def test_a_server_that_refuses_chats_is_not_well_because_it_lists_its_models(tmp_path: Path, serve: Servers) -> None:
    settings = installed(tmp_path, entry("first", serve()), entry("second", serve()))
    measured.failed(settings.layout, named(settings, "first").key, "out of memory")
    last = stage.select(settings, ["reasoning"])["chain"][-1]
    assert last["name"] == "first"
    assert "out of memory" in last["why"][0]


def test_a_key_goes_only_where_its_variable_says(
    tmp_path: Path, serve: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCHOOL_PROVIDER_KEY", "not-for-them")
    monkeypatch.setenv("THEIR_KEY", "s3cret-key")
    with_key, without = serve(), serve()
    settings = installed(tmp_path, entry("a", with_key, key_variable="THEIR_KEY"), entry("b", without))
    stage.models(settings)
    assert with_key.authorizations == {"Bearer s3cret-key"}
    assert without.authorizations == {"Bearer none"}


def test_a_missing_key_is_named(tmp_path: Path, serve: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THEIR_KEY", raising=False)
    server = serve()
    server.stop()
    settings = installed(tmp_path, entry("a", server, key_variable="THEIR_KEY"))
    assert "THEIR_KEY is not set" in stage.models(settings)["models"][0]["last_error"]


def test_the_doctor_has_a_line_for_each_model(tmp_path: Path, serve: Servers) -> None:
    well, gone = serve(), serve()
    gone.stop()
    settings = installed(tmp_path, entry("well", well), entry("gone", gone), order=["embedded"])
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": well.port})})
    serving = {"engine": "embedded", "adapter": "base", "adapter_sha256": "", "last_check": {}}
    well.others["/health"] = {**serving, "base_sha256": base_sha256(settings.base_folder)}
    found = doctor(settings)
    lines = {key: value for key, value in found.items() if key.startswith("model ")}
    assert lines == {"model well": "healthy", "model gone": "no answer, or no such model there"}


def cli(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTSCHOOL_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=home,
        env=environment | {"THEIR_KEY": "s3cret-key", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert not any(each in done.stdout + done.stderr for each in SECRETS)
    return done


def test_the_commands_show_no_secret_and_end_with_the_right_codes(tmp_path: Path, serve: Servers) -> None:
    server = serve()
    address = f"127.0.0.1:{server.port}"
    write(
        tmp_path,
        f"""
        [providers]
        order = []
        [[providers.models]]
        name = "ours"
        kind = "openai"
        url = "http://u:s3cret-word@{address}/v1"
        model = "{MODEL}"
        capabilities = ["reasoning", "fast_inference"]
        key_variable = "THEIR_KEY"
        """,
    )
    (listed,) = json.loads(cli(tmp_path, "models", "list", "--json").stdout)["models"]
    assert (listed["name"], listed["healthy"], listed["address"]) == ("ours", True, f"http://{address}/v1")
    assert "reasoning: 4 of 4" in cli(tmp_path, "models", "test", "ours").stdout
    assert "tokens/s measured" in cli(tmp_path, "models", "select", "--needs", "reasoning", "--fast").stdout
    assert address in cli(tmp_path, "config", "show", "providers.models").stdout
    assert cli(tmp_path, "models", "select", "--needs", "long_context").returncode == 78
    server.stop()
    gone = cli(tmp_path, "models", "select", "--needs", "reasoning")
    assert (gone.returncode, "ours" in gone.stderr) == (69, True)
    everything = "".join(each.read_text() for each in (tmp_path / "logs").iterdir() if each.is_file())
    assert not any(each in everything for each in SECRETS)
