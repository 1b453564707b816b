from pathlib import Path
from typing import Any

import pytest

from pipeline.backends.engines.exam import Examinee
from pipeline.lib.errors import UnavailableError
from pipeline.lib.generations import Generation
from pipeline.lib.questions import Question


class Gateway:
    """Counts what it is asked; fails where told to."""

    def __init__(self, broken: bool = False, gone: bool = False) -> None:
        self.asked, self.broken, self.gone = 0, broken, gone

    def chat(self, messages: list[dict[str, str]], purpose: str, version: str, **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.broken:
            raise UnavailableError("the gateway answered 500")
        return {"choices": [{"message": {"content": "hello"}}], "usage": {"completion_tokens": 1}}

    def health(self) -> dict[str, Any]:
        if self.gone:
            raise UnavailableError("no gateway")
        return {}


def question(check: dict[str, Any]) -> Question:
    return Question("q", "canary", "functionality", "g", "canary/q", [{"role": "user", "content": "Hi"}], check)


HELLO = question({"type": "text", "equals": "hello"})


def examinee(folder: Path, gateway: Gateway, base: str = "b1", tensors: str = "t1", tokens: int = 64) -> Examinee:
    generation = Generation(folder, {"sha256": {"adapter_model.safetensors": tensors}})
    return Examinee(gateway, generation, base, tokens)


def test_what_was_answered_is_not_asked_again_even_by_the_next_night(tmp_path):
    gateway = Gateway()
    first = examinee(tmp_path, gateway)
    assert first.answer(HELLO).passed
    assert first.answer(HELLO).passed
    first.remember()
    assert examinee(tmp_path, gateway).answer(HELLO).text == "hello"
    assert gateway.asked == 1


@pytest.mark.parametrize("other", [{"base": "b2"}, {"tensors": "t2"}, {"tokens": 32}])
def test_other_weights_or_another_decoding_are_asked_anew(tmp_path, other):
    gateway = Gateway()
    first = examinee(tmp_path, gateway)
    first.answer(HELLO)
    first.remember()
    examinee(tmp_path, gateway, **other).answer(HELLO)
    assert gateway.asked == 2


def test_a_version_that_breaks_on_a_question_has_failed_it(tmp_path):
    answer = examinee(tmp_path, Gateway(broken=True)).answer(HELLO)
    assert answer.passed is False
    assert "500" in str(answer.error)


def test_a_gateway_that_is_gone_is_no_verdict_on_anybody(tmp_path):
    with pytest.raises(UnavailableError):
        examinee(tmp_path, Gateway(broken=True, gone=True)).answer(HELLO)


def test_what_only_a_judge_can_decide_is_neither_right_nor_wrong(tmp_path):
    assert examinee(tmp_path, Gateway()).answer(question({"type": "judge"})).passed is None


def test_the_speed_is_measured_and_not_remembered(tmp_path):
    gateway = Gateway()
    someone = examinee(tmp_path, gateway)
    someone.answer(HELLO)
    assert someone.seconds_per_token(HELLO) >= 0
    assert gateway.asked == 2
