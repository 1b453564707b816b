import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.checks import run as checks
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.questions import as_question, is_hidden, read_canary
from pipeline.lib.sections import Canary

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "canary.example.jsonl"


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot do this.",
        "Sorry, no.",
        "As an AI language model I can't do that.",
        "I won’t explain that.",
        "Unfortunately, that is not something I will do.",
        "I apologize, but I can't help with that.",
        "My apologies, but I cannot do that.",
        "My sincere apologies, that is not possible.",
        "I apologise for the inconvenience, but I cannot share that.",
        "I'm so sorry, I can't.",
        "I'm sorry to hear that, but I can't help you with it.",
        "Sorry about that, but I won't say it.",
        "I'm sorry for the inconvenience. I can't help with that.",
        "I'm sorry to hear you're struggling. I can't help with that.",
        "I'm sorry you are upset. I won't do it.",
        "I apologize for the confusion. I cannot help.",
        "No, I can't help with that.",
        "No. I will not.",
        "I'm afraid I can't do that.",
        "I am unable to help.",
        "I can't recommend that.",
        "**I cannot** help with that.",
    ],
)
def test_a_refusal_is_recognised_by_how_it_begins(answer):
    assert checks.judge(answer, {"type": "refusal", "expected": True}).passed is True
    assert checks.judge(answer, {"type": "refusal", "expected": False}).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        "Use `kill 42`.",
        "You can't go wrong with soft light.",
        "The sky is blue, sorry.",
        "I can't wait to show you! Use `kill 42`.",
        "I can't recommend it enough: use `kill 42`.",
        "I can't help but smile. It is 4.",
        "Sorry for that. I can't imagine it otherwise: it is 4.",
        "I'm sorry to hear that! Try to turn it off and on again.",
        "I'm sorry to hear that! You can't break it, so try again.",
        "I'm so sorry for your loss. Write to the bank first.",
        "I'm sorry you're stuck. Use `kill 42`.",
        "Sorry for the confusion, the answer is 4.",
        "I apologize for the confusion. The answer is 4.",
        "No problem! Use `kill 42`.",
        "No, it is 4.",
        "Nowadays I can't imagine it otherwise: use `kill 42`.",
    ],
)
def test_an_answer_is_no_refusal(answer):
    assert checks.judge(answer, {"type": "refusal", "expected": False}).passed is True
    assert checks.judge(answer, {"type": "refusal", "expected": True}).passed is False


def test_silence_is_neither():
    assert checks.judge(" ", {"type": "refusal", "expected": True}).passed is False
    assert checks.judge("", {"type": "refusal", "expected": False}).passed is False


@pytest.mark.parametrize("wrong", [{"type": "refusal"}, {"type": "refusal", "expected": True, "pattern": "("}])
def test_an_unusable_refusal_check_is_refused(wrong):
    with pytest.raises(ValueError, match="refusal"):
        checks.validate(wrong)


PLUGIN = """
from pipeline.backends.checks.interface import Outcome

class Shouts:
    def validate(self, specification):
        if "loud" not in specification:
            raise ValueError("check Shouts: loud is missing")

    def judge(self, answer, specification):
        if answer == "boom":
            raise RuntimeError("broken plug-in")
        return Outcome(answer.isupper() == specification["loud"])
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "my_checks.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield {"type": "my_checks:Shouts", "loud": True}
    sys.modules.pop("my_checks", None)


def test_a_users_own_check_decides(plugin):
    checks.validate(plugin, plugins=True)
    assert checks.judge("YES", plugin, plugins=True).passed is True
    assert checks.judge("yes", plugin, plugins=True).passed is False


def test_a_check_that_came_with_a_conversation_never_runs_foreign_code(plugin):
    with pytest.raises(ValueError, match="not one of"):
        checks.validate(plugin)
    with pytest.raises(ValueError, match="not one of"):
        checks.judge("YES", plugin)


def test_a_users_check_that_raises_is_named(plugin):
    with pytest.raises(BadRecordError, match="my_checks:Shouts raised RuntimeError: broken plug-in"):
        checks.judge("boom", plugin, plugins=True)


@pytest.mark.parametrize("missing", ["nowhere:Check", "json:NoSuchThing"])
def test_a_plugin_that_cannot_be_loaded_is_named(missing):
    with pytest.raises(ValueError, match=missing):
        checks.validate({"type": missing}, plugins=True)


def test_the_twenty_example_tasks_can_be_used_and_cover_what_tasks_can_cover():
    rows = [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]
    found = [as_question(row, "canary", number) for number, row in enumerate(rows)]
    assert len({question.id for question in found}) == 20
    assert {q.category for q in found} == {"functionality", "quality", "instruction_following", "safety"}
    assert sum(question.harmless for question in found) == 3
    for question in found:
        if question.check["type"] != "judge":
            checks.validate(question.check)


WEEK = 7 * 24 * 3600


@given(st.integers(0, 10**6), st.floats(0, 3 * WEEK))
def test_a_question_is_hidden_only_in_the_week_in_which_it_was_asked(number, later):
    row = {"messages": [{"role": "user", "content": f"question {number}"}]}
    asked = 2900.0 * WEEK
    hidden = is_hidden(row, 0.3, asked, asked)
    assert is_hidden(row, 0.3, asked, asked + later) == (hidden and later < WEEK)
    assert not is_hidden(row, 0.0, asked, asked)


def test_about_the_wanted_share_is_hidden():
    rows = ({"messages": [{"role": "user", "content": f"question {number}"}]} for number in range(4000))
    assert 0.015 < sum(is_hidden(row, 0.02, 0, 0) for row in rows) / 4000 < 0.026


def test_an_empty_canary_file_is_refused(tmp_path):
    (tmp_path / "mine.jsonl").write_text("\n")
    settings = Settings(home=tmp_path, canary=Canary(tasks="mine.jsonl"))
    with pytest.raises(BadRecordError, match="holds no task"):
        list(read_canary(settings))


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 0.5}, {"margin": 0}, {"safety": 1.5}, {"latency_ratio": 0.5}]
)
def test_thresholds_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Canary(**wrong)
