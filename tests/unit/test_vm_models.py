"""LLMGEN and EVOLVE before a server that misbehaves on demand: every program ends, in time, with a defined error."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import handmade
import pytest
from stand_in import Behaviour, StandIn, drop, piece, send, stream

from pipeline import vm
from pipeline.backends.checks.run import judge
from pipeline.evolution import machine
from pipeline.evolution.faults import VmError
from pipeline.evolution.machine import Limits
from pipeline.evolution.operations import OPERATIONS
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError

MODEL = "their-model"
Wanted = Callable[..., Settings]


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.backends.providers.openai._FIRST_PAUSE", 0.01)


@pytest.fixture
def wanted(tmp_path: Path, server: StandIn) -> Wanted:
    def settings(**own: Any) -> Settings:
        asked = {"order": "openai", "openai_url": server.url, "openai_model": MODEL, "attempts": 2}
        return handmade.make_settings(tmp_path, providers=asked, vm={"timeout": 10, **own})

    return settings


def saying(text: str) -> Behaviour:
    return lambda handler, _: stream(handler, [piece(text[:3]), piece(text[3:], "stop")])


def run(settings: Settings, source: str, *limits: str) -> dict[str, Any]:
    file = settings.home / "program.svm"
    file.write_text(source, encoding="utf-8")
    return vm.run(settings, file, list(limits))


def asked_for(server: StandIn) -> str:
    return str(server.body["messages"][-1]["content"])


def test_llmgen_pushes_the_code_that_the_model_wrote_and_says_what_the_machine_can(wanted: Wanted, server: StandIn):
    server.behaviour = saying("<think>easy</think>Sure:\n```asm\nPUSH #41\nPUSH #1\nADD\n```\nThat is all.")
    found = run(wanted(), 'LLMGEN "forty-two"')
    assert found["stack"] == ["PUSH #41\nPUSH #1\nADD"]
    assert found["model_calls"] == server.asked == 1
    assert asked_for(server).endswith("forty-two")
    assert all(name in asked_for(server) for name in OPERATIONS)


def test_a_model_that_knows_the_operations_gets_the_bare_prompt(wanted: Wanted, server: StandIn):
    server.behaviour = saying("PUSH #1")
    run(wanted(reference=False), 'PUSH "set x "\nPUSH "to 1"\nCONCAT\nLLMGENI')
    assert asked_for(server) == "set x to 1"


def test_code_that_fails_is_repaired_and_its_result_counts(wanted: Wanted, server: StandIn):
    def behaviour(handler: BaseHTTPRequestHandler, number: int) -> None:
        code = 'PUSH #6\nSTORE "x"\nADD' if number == 1 else 'PUSH #6\nPUSH #7\nMUL\nSTORE "x"'
        stream(handler, [piece(f"```\n{code}\n```", "stop")])

    server.behaviour = behaviour
    source = 'LLMGEN "x = 6 * 7"\nDUP\nEXEC\nDUP\nLENGTH\nJZ done\nEVOLVEI\nEXEC\ndone:'
    found = run(wanted(), source)
    assert (found["memory"], found["stack"], found["model_calls"]) == ({"x": 42}, [""], 2)
    assert "line 3: stack error: ADD on an empty stack" in asked_for(server)
    assert 'PUSH #6\nSTORE "x"\nADD' in asked_for(server)


def test_evolve_says_what_is_wrong_with_the_code(wanted: Wanted, server: StandIn):
    server.behaviour = saying("PUSH #5")
    assert run(wanted(), 'PUSH "PUSH 5"\nEVOLVE "integers need a #"')["stack"] == ["PUSH #5"]
    assert "integers need a #" in asked_for(server)


def silent(handler: BaseHTTPRequestHandler, _: int) -> None:
    time.sleep(0.6)
    drop(handler)


def endless(line: bytes, seconds: float) -> Behaviour:
    def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                handler.wfile.write(line)
                time.sleep(0.0005)
        except OSError:
            pass
        drop(handler)

    return behaviour


ENDLESS_TEXT = f"data: {json.dumps(piece('PUSH #1 ' * 100))}\n\n".encode()


@pytest.mark.parametrize(
    ("behaviour", "category", "said"),
    [
        (silent, "time-out", "no answer within 0.3 s"),
        (endless(b": still thinking\n\n", 2), "time-out", "no answer within 0.3 s"),
        (endless(ENDLESS_TEXT, 5), "model", "does not end"),
        (saying(""), "model", "wrote nothing"),
        (saying("```\n```"), "model", "wrote nothing"),
        (saying("As a language model I would rather not."), "model", "no program, but 'As a language"),
        (saying("PUSH #1\n" * 2000), "model", "more than 10000 characters"),
        (lambda handler, _: drop(handler), "model", "no provider answers: openai/their-model"),
        (lambda handler, _: send(handler, b"<html>welcome</html>"), "model", "no provider answers: openai/their-model"),
        (
            lambda handler, _: send(handler, b"[]", kind="text/event-stream"),
            "model",
            "no provider answers: openai/their-model",
        ),
        (lambda handler, _: send(handler, b'{"error": "no"}', 404), "model", "no provider answers: openai/their-model"),
        (
            lambda handler, _: send(handler, b'{"error": "busy"}', 503),
            "model",
            "no provider answers: openai/their-model",
        ),
        (lambda handler, _: stream(handler, [piece("PUSH")], ends=False), "model", "cut"),
        (
            lambda handler, _: stream(handler, [{"choices": [{"delta": 7}]}]),
            "model",
            "no provider answers: openai/their-model",
        ),
    ],
)
def test_a_model_that_fails_ends_the_program_in_time_with_a_defined_error(
    wanted: Wanted, server: StandIn, behaviour: Behaviour, category: str, said: str
):
    server.behaviour = behaviour
    settings = wanted(timeout=0.3) if category == "time-out" else wanted()
    begun = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        run(settings, '; a comment\nLLMGEN "one"')
    assert time.monotonic() - begun < 5
    assert f"program.svm line 2: {category} error: " in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_program_can_go_on_without_the_model_that_failed(wanted: Wanted, server: StandIn):
    server.behaviour = silent
    found = run(wanted(timeout=0.2), r'PUSH "LLMGEN \"one\""' + '\nEXEC\nPUSH #7\nSTORE "x"')
    assert found["memory"] == {"x": 7}
    assert found["stack"] == ["line 1: time-out error: the model took too long: no answer within 0.2 s"]


def test_a_server_that_is_not_there_is_named(wanted: Wanted, server: StandIn):
    settings = wanted()
    server.server.server_close()
    with pytest.raises(UnavailableError, match="no provider answers: openai/their-model"):
        run(settings, 'LLMGEN "one"')


def test_a_program_asks_no_more_often_than_it_may(wanted: Wanted, server: StandIn):
    server.behaviour = saying("PUSH #1")
    with pytest.raises(Exception, match="more than 3 calls of a model"):
        run(wanted(), 'again:\nLLMGEN "one"\nPOP\nJMP again')
    assert server.asked == 3
    assert run(wanted(), 'LLMGEN "one"\n' * 4, "model-calls=4")["model_calls"] == 4


def test_a_check_never_asks_a_model(wanted: Wanted, server: StandIn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(wanted().home)
    server.behaviour = saying("PUSH #1")
    for answer in ('LLMGEN "one"', 'PUSH "ADD"\nEVOLVE "wrong"', r'PUSH "LLMGEN \"one\""' + '\nEXEC\nSTORE "x"'):
        outcome = judge(answer, {"type": "vm", "memory": {"x": 1}})
        assert outcome.passed is False
    assert server.asked == 0
    with pytest.raises(VmError, match="there is no model to ask here") as caught:
        machine.run('LLMGEN "one"', Limits())
    assert caught.value.category == "model"


class Rude:
    def write(self, _: str) -> str:
        raise KeyError("surprise\nand more")


def test_whatever_a_writer_raises_the_program_ends_with_a_defined_error():
    with pytest.raises(VmError, match="line 1: model error: the model failed: 'surprise") as caught:
        machine.run('LLMGEN "one"', writer=Rude())
    assert caught.value.category == "model"
