import ast
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.checks.run import judge
from pipeline.evolution.parts import Parts, Probe
from pipeline.evolution.questions import Context, taken_apart
from pipeline.starter import arithmetic, tasks, texts
from pipeline.starter.task import Task

SIGNS = {ast.Add: "ADD", ast.Sub: "SUB", ast.Mult: "MUL", ast.BitAnd: "CONCAT"}
TURNS = {"upper": ["UPPER"], "reverse": ["REVERSE"], "twice": ["PUSH #2", "REPEAT"]}

WORDS = st.lists(
    st.sampled_from(
        ["set", "x", "n", "to", "(", ")", "7", "12", '"cat"', "+", "*", "=", ",", '"', "é", "\n", "&", "[", "]"]
    ),
    max_size=30,
).map(" ".join)


def drawn(family: str, operations: range, count: int, seed: int = 1) -> list[Task]:
    source = random.Random(seed)
    return [tasks.draw(source, source.choice(operations), family) for _ in range(count)]


def knows_short_ones(question: str) -> str:
    """A student that is right about up to two operations, and wrong about all that is longer."""
    for phrasing in (*arithmetic.PHRASINGS, *texts.PHRASINGS):
        form = (
            re.escape(phrasing).replace(r"\{name\}", r"(?P<name>\w+)").replace(r"\{expression\}", "(?P<expression>.+)")
        )
        if found := re.fullmatch(form, question):
            try:
                code = postfix(ast.parse(found["expression"], mode="eval").body)
            except (SyntaxError, KeyError):
                return "HALT"
            program = [*code, f'STORE "{found["name"]}"', "HALT"]
            operations = sum(line.isalpha() for line in program) - 1
            return "\n".join(program) if operations <= 2 else "PUSH #0\nHALT"
    return "HALT"


def postfix(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(int(value)):
            return [f"PUSH #{value}"]
        case ast.Constant(value):
            return [f'PUSH "{value}"']
        case ast.BinOp(left, sign, right):
            return [*postfix(left), *postfix(right), SIGNS[type(sign)]]
        case ast.Call(ast.Name(name), [of]):
            return [*postfix(of), *TURNS[name]]
    raise KeyError(ast.dump(node))


@pytest.mark.parametrize("family", tasks.FAMILIES)
def test_what_is_known_about_short_questions_answers_long_ones(family: str):
    model, parts = knows_short_ones, Parts()
    short, long = drawn(family, range(1, 3), 1500), drawn(family, range(3, 6), 300, seed=2)
    parts.survey([task.question for task in short], [task.question for task in long])
    verified = [(task.question, task.program) for task in short]
    for _ in range(5):
        for probe in parts.probes(verified, 600):
            parts.learn(probe, model(probe.question))
    right = 0
    for task in long:
        ways = parts.simpler(task.question, 8, seed=3)
        answers = [answer for way in ways if (answer := way.answer(model(way.question))) is not None]
        right += any(judge(answer, task.check).passed for answer in answers)
    assert right > 0.9 * len(long)
    assert not any(judge(model(task.question), task.check).passed for task in long)


def test_without_anything_learned_no_question_is_made_simpler():
    parts = Parts()
    parts.survey(["set x to 1 + 2"], ["set x to 1 + 2 * 3"])
    assert parts.simpler("set x to 1 + 2 * 3", 8, seed=0) == []


def test_evidence_that_contradicts_itself_is_no_knowledge():
    parts = Parts()
    verified = [(f"set x to {a} + {b} * 9", f"PUSH #{a}\nPUSH #{b}\nPUSH #9") for a, b in ((1, 2), (3, 4), (5, 6))]
    parts.survey([question for question, _ in verified], [question for question, _ in verified])
    for number, probe in enumerate(parts.probes(verified, 100)):
        parts.learn(probe, f"PUSH #{probe.literal}\nPUSH #9" if number % 2 else "nonsense")
        parts.learn(probe, "nonsense")
        parts.learn(probe, "nonsense")
    assert len(parts) == 0


def test_what_a_part_means_elsewhere_is_believed_until_somebody_asks_there():
    parts, sum_of_two = Parts(), ("N", "+", "N")
    for _ in range(2):
        parts.learn(probe_of(Context("(", sum_of_two, ")")), "PUSH #9\nNEG")
    assert parts.meaning(Context("to", sum_of_two, "")) == (0, "\n", "PUSH", " ", "#", 1, "\n", "ADD")
    parts.learn(probe_of(Context("to", sum_of_two, "")), "nonsense")
    assert parts.meaning(Context("to", sum_of_two, "")) is None
    assert parts.meaning(Context("(", sum_of_two, ")")) is not None


def test_the_word_n_is_no_number():
    parts = Parts()
    for _ in range(2):
        parts.learn(probe_of(Context("to", ("N", "+", "N"), "")), "PUSH #9\nNEG")

    def meaning(question: str) -> object:
        return parts.meaning(taken_apart(question).context(3, 6))

    assert meaning("set x to 7 + 2") is not None
    assert meaning("set x to n + 2") is meaning("set x to N + 2") is None
    assert [token.kind for token in taken_apart("N n 7").tokens] == ["n", "n", "N"]


def test_a_meaning_of_more_literals_than_its_part_has_is_left_out_when_read():
    parts = Parts()
    for _ in range(2):
        parts.learn(probe_of(Context("to", ("N", "+", "N"), "")), "PUSH #9\nNEG")
    records = parts.to_json()
    assert len(Parts.from_json(records)) == 1
    assert len(Parts.from_json([{**each, "part": ["n", "+", "N"]} for each in records])) == 0


def probe_of(context: Context) -> Probe:
    """Of the part `1 + 2`, whatever is beside it."""
    return Probe("set x to -9", "9", context, ("1", "2"), (), "PUSH #1\nPUSH #2\nADD\nNEG")


def test_literals_that_the_model_is_not_sure_of_give_way_to_some_that_it_answers_well():
    parts = taught()
    sure, unsure = ('"cat"', '"dog"', '"tea"', '"sun"'), ('"owl"', '"ink"')
    parts.survey([f"put {a} & {b}" for a in sure for b in sure], [f"put {a} & {b}" for a in unsure for b in unsure])
    ways = parts.simpler('put "owl" & "ink"', 8, seed=1)
    assert ways
    for way in ways:
        first, second = taken_apart(way.question).literals
        assert {first, second} <= set(sure)
        assert way.answer(f"PUSH {first}\nPUSH {second}") == 'PUSH "owl"\nPUSH "ink"'


def test_the_same_seed_makes_the_same_questions():
    parts = taught()
    question = "set x to 1 + 2 + 3 + 4"
    assert parts.simpler(question, 8, seed=5) == parts.simpler(question, 8, seed=5) != []


def taught() -> Parts:
    parts = Parts()
    verified = [(f"set x to {a} + {b} + {c}", sums(a, b, c)) for a, b, c in ((1, 2, 3), (4, 5, 6), (7, 8, 9))]
    parts.survey([question for question, _ in verified], ["set x to 1 + 2 + 3 + 4"])
    for probe in parts.probes(verified, 100):
        numbers = [int(token.text) for token in taken_apart(probe.question).tokens if token.literal]
        parts.learn(probe, sums(*numbers))
    return parts


def sums(*numbers: int) -> str:
    return "\n".join([f"PUSH #{numbers[0]}", *(f"PUSH #{each}\nADD" for each in numbers[1:])])


def test_an_answer_in_which_the_literal_is_missing_or_stands_twice_cannot_be_gone_back_from():
    way = taught().simpler("set x to 1 + 2 + 3 + 4", 1, seed=0)[0]
    assert way.answer("PUSH #0") is None
    literal = way.meanings[0][0]
    assert way.answer(f"PUSH #{literal}\nPUSH #{literal}") is None


def test_knowledge_survives_a_file_and_half_of_what_failed_is_forgotten():
    parts = taught()
    again = Parts.from_json(parts.to_json())
    again.survey(["set x to 1 + 2 + 3"], ["set x to 1 + 2 + 3 + 4"])
    assert len(again) == len(parts) > 0
    assert sum(each["without"] for each in again.to_json()) <= sum(each["without"] for each in parts.to_json())


@given(WORDS)
def test_any_text_is_taken_apart_and_no_part_cuts_a_bracket(text: str):
    question = taken_apart(text)
    if question is None:
        return
    for token in question.tokens:
        assert text[token.start : token.end] == token.text
    for begin, end in question.parts():
        part = [token.text for token in question.tokens[begin:end]]
        assert sum(each in "([" for each in part) == sum(each in ")]" for each in part)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5), WORDS, WORDS, st.integers())
def test_nothing_that_people_or_models_write_breaks_it(
    pairs: list[tuple[str, str]], question: str, answer: str, seed: int
):
    parts = Parts()
    parts.survey([asked for asked, _ in pairs], [question])
    for probe in parts.probes(pairs, 50):
        parts.learn(probe, answer)
        parts.learn(probe, answer.replace("7", probe.literal))
    for way in parts.simpler(question, 4, seed):
        assert way.answer(answer) is None or isinstance(way.answer(answer), str)
    assert Parts.from_json(parts.to_json()).to_json() is not None
