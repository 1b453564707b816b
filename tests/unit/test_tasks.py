import ast
import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends.checks.run import judge, validate
from pipeline.evolution.machine import run
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import UnavailableError
from pipeline.lib.questions import SHIPPED_CANARY, key
from pipeline.lib.text import normalize
from pipeline.starter import arithmetic, tasks
from pipeline.starter.day import day

EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(arithmetic.Number),
    lambda inner: st.builds(arithmetic.Operation, st.sampled_from("+-*"), inner, inner),
    max_leaves=12,
)


@settings(max_examples=100)
@given(EXPRESSIONS)
def test_a_written_expression_means_what_it_is_worth(expression: arithmetic.Expression):
    assert eval(arithmetic.written(expression)) == arithmetic.value(expression)


@settings(max_examples=100)
@given(EXPRESSIONS)
def test_a_written_expression_has_no_needless_parentheses(expression: arithmetic.Expression):
    text = arithmetic.written(expression)
    for start in [position for position, character in enumerate(text) if character == "("]:
        depth, end = 0, start
        while True:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        without = text[:start] + text[start + 1 : end] + text[end + 1 :]
        assert tree(without) != tree(text)


def tree(text: str) -> str:
    return ast.dump(ast.parse(text, mode="eval"))


def test_the_holdout_is_400_different_tasks_80_of_each_size_and_always_the_same():
    holdout = tasks.holdout()
    assert Counter(task.operations for task in holdout) == dict.fromkeys(range(1, 6), 80)
    assert len({normalize(task.question) for task in holdout}) == 400
    assert holdout == tasks.holdout()


def test_traffic_never_asks_a_forbidden_question_but_would():
    forbidden = {normalize(task.question) for task in tasks.holdout()}
    free = [normalize(task.question) for task in itertools.islice(tasks.traffic(3, set()), 5000)]
    kept = [normalize(task.question) for task in itertools.islice(tasks.traffic(3, forbidden), 5000)]
    assert not forbidden & set(kept)
    assert forbidden & set(free)


def test_two_days_ask_different_questions_and_one_day_always_the_same():
    def first(seed: int) -> list[str]:
        return [task.question for task in itertools.islice(tasks.traffic(seed, set()), 50)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_the_shipped_canary_is_20_valid_tasks_that_are_not_in_the_holdout():
    rows = list(jsonl.read(SHIPPED_CANARY))
    assert len({row["id"] for row in rows}) == len(rows) == 20
    for row in rows:
        validate(row["check"])
    assert not {key(row) for row in rows} & {key(task.record()) for task in tasks.holdout()}


def test_the_check_of_a_task_accepts_its_program_and_refuses_another_value():
    source = random.Random(5)
    for operations in range(1, 6):
        task = tasks.draw(source, operations)
        right = task.program
        assert judge(right, task.check).passed is True
        assert judge(right.replace("STORE", "PUSH #1\nADD\nSTORE"), task.check).passed is False
        assert right not in str(task.record())


@settings(max_examples=50)
@given(st.integers(), st.integers(0, 8))
def test_a_drawn_task_has_exactly_the_operations_asked_for(seed: int, operations: int):
    task = tasks.draw(random.Random(seed), operations)
    assert sum(task.question.replace("= ", "").count(f" {sign} ") for sign in "+-*") == operations
    assert run(task.program).steps == 2 * operations + 3


def test_an_outcome_that_the_gateway_did_not_take_is_an_error_and_the_day_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Gateway:
        heard = itertools.count()

        def __init__(self, settings: Settings) -> None:
            pass

        def health(self) -> None:
            pass

        def chat(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {"id": "1", "choices": [{"message": {"content": "HALT"}}]}

        def feedback(self, *_: Any, **__: Any) -> None:
            if next(self.heard) == 0:
                raise UnavailableError("no answer from the gateway")

    monkeypatch.setattr("pipeline.starter.day.GatewayClient", Gateway)
    found = day(Settings(home=tmp_path), requests=5, seed=1, rate=0)
    assert (found["requests"], found["errors"]) == (5, 1)
