from pathlib import Path
from typing import Any

import pytest

from pipeline.backends.engines.exam import Examinee
from pipeline.backends.gateway_client import RefusedChatError
from pipeline.canary import Hall, _examine, _rules
from pipeline.gate.verdict import Examination
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, NightschoolError, UnavailableError
from pipeline.lib.generations import Generation
from pipeline.lib.questions import Question


class Gateway:
    """Counts what it is asked; fails where told to."""

    def __init__(self, broken: NightschoolError | None = None, gone: bool = False) -> None:
        self.asked, self.broken, self.gone = 0, broken, gone

    def chat(self, messages: list[dict[str, str]], purpose: str, version: str, **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.broken:
            raise self.broken
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


BROKEN = UnavailableError("the gateway answered 500")
REFUSED = RefusedChatError("the gateway refused: the prompt has 5000 tokens, the model reads 4096", 400)
WAYS = [
    lambda someone: someone.answer(HELLO),
    lambda someone: someone.seconds_per_token(HELLO),
    lambda someone: someone.complete("Hi", [], 9),
]


@pytest.mark.parametrize(("broken", "words"), [(BROKEN, "500"), (REFUSED, "5000 tokens")])
def test_a_version_that_breaks_on_a_question_has_failed_it(tmp_path, broken, words):
    someone = examinee(tmp_path, Gateway(broken))
    answer = someone.answer(HELLO)
    assert answer.passed is False
    assert words in str(answer.error)
    assert someone.seconds_per_token(HELLO) is None
    assert someone.complete("Hi", [], 9) == ""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("broken", [BROKEN, REFUSED])
def test_a_gateway_that_is_gone_is_no_verdict_on_anybody(tmp_path, broken, way):
    with pytest.raises(UnavailableError, match="no gateway"):
        way(examinee(tmp_path, Gateway(broken, gone=True)))


@pytest.mark.parametrize("way", WAYS)
def test_a_version_that_is_not_there_is_no_verdict_either(tmp_path, way):
    with pytest.raises(BadRecordError, match="not loaded"):
        way(examinee(tmp_path, Gateway(BadRecordError("the gateway refused: version is not loaded"))))


@pytest.mark.parametrize("refusing", ["candidate", "incumbent"])
def test_a_question_that_is_refused_measures_no_speed_and_is_wrong_for_whoever_refused_it(tmp_path, refusing):
    sides = {
        side: examinee(tmp_path / side, Gateway(REFUSED if side == refusing else None), tensors=side)
        for side in ("candidate", "incumbent")
    }
    settings = Settings(home=tmp_path)
    examination = Examination(_rules(settings, {HELLO.group}, compare_with_day_zero=False))
    rows = _examine(Hall(**sides, day_zero=None, judge=None), examination, [HELLO], settings)
    assert {side: rows[0][side]["passed"] for side in sides} == {side: side != refusing for side in sides}
    assert [trial.seconds_per_token for trial in examination.trials] == [None]


def test_what_only_a_judge_can_decide_is_neither_right_nor_wrong(tmp_path):
    assert examinee(tmp_path, Gateway()).answer(question({"type": "judge"})).passed is None


def test_the_speed_is_measured_and_not_remembered(tmp_path):
    gateway = Gateway()
    someone = examinee(tmp_path, gateway)
    someone.answer(HELLO)
    assert someone.seconds_per_token(HELLO) >= 0
    assert gateway.asked == 2
