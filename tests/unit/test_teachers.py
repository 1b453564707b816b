"""Harvests with teachers, judges, budgets: real local servers that teach well, or badly."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import gullible
import pytest
from gullible import fair
from stand_in import drop, send, whole
from teaching import NOW, Gateway, Server, fail, question, rewrites, right, rows, servers, settings_of, unsolved, words

from pipeline.backends.teachers.deciding import Council
from pipeline.evolution.history import Strategy
from pipeline.evolution.steering import Steering
from pipeline.harvest import harvest
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError, NothingToDo, UnavailableError
from pipeline.lib.problems import Problems
from pipeline.lib.records import Failure

OLLAMA, OPENAI, JUDGE = "ollama/small:1b", "openai/big", "openai/judge"


@pytest.fixture
def one() -> Iterator[Server]:
    made = Server("ollama", "small:1b", right)
    with servers(made):
        yield made


@pytest.fixture
def two() -> Iterator[Server]:
    made = Server("openai", "big", right)
    with servers(made):
        yield made


@pytest.fixture
def judge() -> Iterator[Server]:
    made = judging("judge", fair)
    with servers(made):
        yield made


def judging(model: str, reply: Callable[[gullible.Seen], str]) -> Server:
    """A judge that counts its calls."""
    made = Server("openai", model, right)

    def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
        messages = made.body["messages"]
        made.calls.append(messages[-1]["content"])
        made.say(handler, reply(gullible.seen(vars(handler)["body"]["messages"])))

    made.behaviour = behaviour
    return made


def run(settings: Settings, until: float = NOW) -> dict[str, Any]:
    return harvest(settings, None, until, dry_run=False)


def test_teachers_vote_by_execution_and_a_rewrite_says_who_wrote_it(tmp_path: Path, one: Server, two: Server):
    fail(tmp_path, 1, 2, 3)
    two.reply = lambda asked: right(asked) if question(3) not in asked else "REASONING: x\nANSWER: 7"
    result = run(settings_of(tmp_path, [one.entry("a"), two.entry("b")], teachers=["a", "b"]))
    found = {row["instruction"]: row for row in rewrites(tmp_path)}
    assert (result["teacher"], result["rewrites"]) == (f"{OLLAMA} + {OPENAI}", 3)
    assert found[question(1)]["output"] == "2"
    assert found[question(1)]["teacher"] == f"{OLLAMA}, {OPENAI}"
    assert found[question(1)]["reasoning"] == "1 twice."
    assert (found[question(1)]["votes"][f"by {OLLAMA}"], found[question(1)]["votes"][f"by {OPENAI}"]) == (1, 1)
    assert found[question(3)]["teacher"] == OLLAMA


def test_different_words_of_different_teachers_confirm_each_other(tmp_path: Path, one: Server, two: Server):
    fail(tmp_path, 1, check="contains")
    two.reply = words
    run(settings_of(tmp_path, [one.entry("a"), two.entry("b")], teachers=["a", "b"], samples=2, confirm=0))
    assert [row["quality_score"] for row in rewrites(tmp_path)] == [0.75]


def test_a_registry_teacher_gets_agent_zero_and_plain_can_be_had(tmp_path: Path, one: Server):
    fail(tmp_path, 1)
    run(settings_of(tmp_path, [one.entry("a")], teachers=["a"], prompt="auto"))
    assert one.calls[0] == f"QUERY:\n{question(1)}\n\nBAD_RESPONSE:\nNo idea, honestly."
    one.reply = lambda asked: "4"
    fail(tmp_path, 2)
    run(settings_of(tmp_path, [one.entry("a")], teachers=["a"], prompt="plain"))
    assert one.calls[-1] == question(2)
    assert sorted(row["output"] for row in rewrites(tmp_path)) == ["2", "4"]


def test_the_same_model_on_two_servers_is_asked_on_both_and_one_stands_in_for_the_other(tmp_path: Path, one: Server):
    twin = Server("ollama", "small:1b", right)
    with servers(twin):
        both = settings_of(tmp_path, [one.entry("rack1"), twin.entry("rack2")], teachers=["rack1", "rack2"])
        fail(tmp_path, 1, 2, 3, 4)
        run(both)
        assert len(one.calls) == len(twin.calls) > 0
        does(drop_call)(one)
        fail(tmp_path, 5, 6, 7)
        run(both)
    assert len(rewrites(tmp_path)) == 7


def drop_call(handler: BaseHTTPRequestHandler, _: int) -> None:
    drop(handler)


def slow(handler: BaseHTTPRequestHandler, _: int) -> None:
    time.sleep(0.6)
    drop(handler)


def says(text: str) -> Callable[[Server], None]:
    return lambda server: setattr(server, "reply", lambda _: text)


def does(behaviour: Callable[[BaseHTTPRequestHandler, int], None]) -> Callable[[Server], None]:
    def wrap(server: Server) -> None:
        server.behaviour = behaviour

    return wrap


def down(server: Server) -> None:
    server.server.server_close()


BAD = {
    "down": down,
    "slow": does(slow),
    "HTTP 500": does(lambda handler, _: send(handler, b"no", 500)),
    "HTTP 404": does(lambda handler, _: send(handler, b'{"error": {"message": "?"}}', 404)),
    "HTTP 400": does(lambda handler, _: send(handler, b'{"error": {"message": "too long"}}', 400)),
    "no chat": does(lambda handler, _: send(handler, b"<html>Welcome!</html>", kind="text/html")),
    "empty": says(""),
    "only thinks": says("<think>Let me see. ANSWER: 2"),
    "no ANSWER": says("It is surely more than you think."),
    "an empty ANSWER": says("REASONING: Hm.\nANSWER:"),
    "endless": says("ANSWER: " + "and " * 30_000),
    "another script": says("REASONING: Сумма.\nANSWER: Ответ на этот вопрос, конечно, равен двум."),
    "repeats the bad answer": says("REASONING: It was right.\nANSWER: no idea, HONESTLY."),
}
NOBODY = ("down", "slow", "HTTP 500", "HTTP 404", "no chat")


@pytest.mark.parametrize("problem", BAD)
def test_one_bad_teacher_of_two_is_named_and_does_not_end_the_harvest(
    tmp_path: Path, one: Server, two: Server, problem: str
):
    BAD[problem](two)
    fail(tmp_path, *range(1, 6))
    settings = settings_of(tmp_path, [one.entry("a"), two.entry("b")], teachers=["b", "a"], samples=4, concurrency=2)
    result = run(settings.model_copy(update={"providers": settings.providers.model_copy(update={"timeout": 0.3})}))
    assert result["rewrites"] == 5
    assert list(result["teacher_problems"]) == [f"{OPENAI}: {problem}"]
    assert {row["teacher"] for row in rewrites(tmp_path)} == {OLLAMA}


@pytest.mark.parametrize("problem", BAD)
def test_a_bad_teacher_alone_leaves_the_reason_or_is_unavailable(tmp_path: Path, two: Server, problem: str):
    BAD[problem](two)
    fail(tmp_path, 1, 2, 3, 4)
    settings = settings_of(tmp_path, [two.entry("b")], teachers=["b"], concurrency=1)
    settings = settings.model_copy(update={"providers": settings.providers.model_copy(update={"timeout": 0.3})})
    if problem in NOBODY:
        with pytest.raises(UnavailableError, match=OPENAI):
            run(settings)
    else:
        assert run(settings)["unsolved"] == 4
    for row in unsolved(tmp_path):
        assert problem in row["reason"]
        assert list(row["problems"]) == [f"{OPENAI}: {problem}"]


@pytest.mark.parametrize("prompt", ["agent-0", "plain"])
def test_a_reply_that_the_server_cut_off_is_not_used_however_few_tokens_it_counts(
    tmp_path: Path, two: Server, prompt: str
):
    two.behaviour = lambda handler, _: send(handler, whole("REASONING: x\nANSWER: 2", finish_reason="length"))
    fail(tmp_path, 1, check="contains")
    assert run(settings_of(tmp_path, [two.entry("b")], teachers=["b"], prompt=prompt))["unsolved"] == 1
    assert "no end" in unsolved(tmp_path)[0]["reason"]


def test_a_draft_that_nobody_delivered_is_asked_for_again_another_night(tmp_path: Path, two: Server):
    BAD["HTTP 400"](two)
    fail(tmp_path, 1)
    settings = settings_of(tmp_path, [two.entry("b")], teachers=["b"])
    assert run(settings)["unsolved"] == 1
    two.behaviour = lambda handler, _: two._answer(handler)
    assert run(settings, NOW + 1)["rewrites"] == 1


@pytest.mark.parametrize("composed", [0, 4])
def test_a_question_that_the_gateway_refuses_is_unsolved_and_the_others_are_answered(tmp_path: Path, composed: int):
    gateway = Gateway(lambda asked: right(asked).split("ANSWER: ")[1], refused=question(1))
    with servers(gateway):
        fail(tmp_path, 1, 2, 3)
        settings = gateway.serves(settings_of(tmp_path, [], composed=composed))
        result = run(settings)
        with pytest.raises(NothingToDo):
            run(settings, NOW + 1)  # it would refuse it again
    assert (result["rewrites"], result["unsolved"], result["teacher_problems"]) == (2, 1, {"HTTP 400": 2})
    assert [row["reason"] for row in unsolved(tmp_path)] == ["no draft passed its check; most often: HTTP 400"]


def test_a_gateway_that_refuses_for_another_reason_than_the_question_ends_the_harvest(tmp_path: Path):
    gateway = Gateway(right, refused="")
    gateway.behaviour = lambda handler, _: send(handler, b'{"error": {"message": "not loaded"}}', 404)
    with servers(gateway):
        fail(tmp_path, 1)
        with pytest.raises(BadRecordError, match="not loaded"):
            run(gateway.serves(settings_of(tmp_path, [], composed=0)))
    assert unsolved(tmp_path) == []


def test_judges_decide_where_no_check_does(tmp_path: Path, one: Server, two: Server, judge: Server):
    fail(tmp_path, 1, 2, check=None)
    one.reply, two.reply = words, lambda asked: f"{right(asked)}, says the light of day."
    models = [one.entry("a"), two.entry("b"), judge.entry("j")]
    result = run(settings_of(tmp_path, models, teachers=["a", "b"], judges=["j"], judged_drafts=2))
    assert result["rewrites"] == 2
    for row in rewrites(tmp_path):
        assert (row["verified_by"], row["quality_score"], row["teacher"]) == ("judges", 0.75, OLLAMA)
        assert row["votes"] == {
            "drafts": 2,
            "usable": 2,
            "judges": 1,
            "won": 1,
            "tied": 0,
            "lost": 0,
            f"by {OLLAMA}": 1,
        }
    assert len(judge.calls) == 2 * 3 * 2  # two drafts against the bad answer, and against each other, in both orders


def tie(shown: gullible.Seen) -> str:
    return shown.words[2]


def contrary(shown: gullible.Seen) -> str:
    return shown.words[1 - shown.words.index(fair(shown))]


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([tie], "the judges see no difference"),
        ([contrary], "the judges prefer the bad answer"),
        ([fair, contrary], "judges disagree: 1 of 2 prefer the draft, 0 see no difference"),
        ([fair, tie], "judges disagree: 1 of 2 prefer the draft, 1 see no difference"),
        ([lambda _: "Both have merits."], "no judge said anything of use"),
    ],
)
def test_why_judges_did_not_let_a_draft_pass_has_a_name(tmp_path: Path, one: Server, others: list[Any], reason: str):
    made = [judging(f"judge{number}", each) for number, each in enumerate(others)]
    with servers(*made):
        fail(tmp_path, 1, check=None)
        one.reply = words
        names = [each.model for each in made]
        entries = [each.entry(each.model) for each in made]
        run(settings_of(tmp_path, [one.entry("a"), *entries], teachers=["a"], judges=names, judged_drafts=1))
    assert [row["reason"] for row in unsolved(tmp_path)] == [reason]
    assert rewrites(tmp_path) == []


def test_a_majority_is_enough_but_its_quality_says_that_it_is_one(tmp_path: Path, one: Server):
    made = [judging(f"judge{number}", each) for number, each in enumerate([fair, fair, tie])]
    with servers(*made):
        fail(tmp_path, 1, check=None)
        one.reply = words
        entries = [each.entry(each.model) for each in made]
        names = [each.model for each in made]
        run(settings_of(tmp_path, [one.entry("a"), *entries], teachers=["a"], judges=names, judged_drafts=1))
    assert [row["quality_score"] for row in rewrites(tmp_path)] == [pytest.approx(5 / 6 * 15 / 16)]


def test_judges_that_were_silent_are_heard_another_night(tmp_path: Path, one: Server, judge: Server):
    listening = judge.behaviour
    judge.behaviour = lambda handler, _: send(handler, b"no", 500)
    fail(tmp_path, 1, check=None)
    one.reply = words
    models = [one.entry("a"), judge.entry("j")]
    settings = settings_of(tmp_path, models, teachers=["a"], judges=["j"], judged_drafts=1)
    assert run(settings)["teacher_problems"] == {f"{JUDGE}: no verdict": 1}
    judge.behaviour = listening
    assert run(settings, NOW + 1)["rewrites"] == 1
    assert len(one.calls) == 1  # its draft was paid already
    with pytest.raises(NothingToDo):
        run(settings, NOW + 2)


def test_what_judges_refused_is_not_asked_again(tmp_path: Path, one: Server, judge: Server):
    fail(tmp_path, 1, check=None)
    models = [one.entry("a"), judge.entry("j")]
    settings = settings_of(tmp_path, models, teachers=["a"], judges=["j"], judged_drafts=1)
    assert run(settings)["unsolved"] == 1
    with pytest.raises(NothingToDo):
        run(settings, NOW + 1)


def test_nobody_judges_what_it_wrote_and_the_student_judges_nothing(tmp_path: Path, one: Server, two: Server):
    fail(tmp_path, 1, check=None)
    both = [one.entry("a"), two.entry("b")]
    with pytest.raises(ConfigurationError, match="nobody may judge what a writes"):
        run(settings_of(tmp_path, both, teachers=["a", "b"], judges=["a"]))
    student = {**two.entry("s"), "model": "hub/Starter"}
    with pytest.raises(ConfigurationError, match="is the model that is taught"):
        run(settings_of(tmp_path, [one.entry("a"), student], teachers=["a"], judges=["s"]))
    judged: Counter[str] = Counter()

    def both_ways(server: Server) -> Callable[[BaseHTTPRequestHandler, int], None]:
        def behaviour(handler: BaseHTTPRequestHandler, _: int) -> None:
            messages = vars(handler)["body"].get("messages")
            if messages and "You compare two answers" in messages[0]["content"]:
                judged[server.model] += 1
                return server.say(handler, fair(gullible.seen(messages)))
            return server._answer(handler)

        return behaviour

    one.reply, two.reply = words, lambda asked: f"{right(asked)} in the light of it."
    one.behaviour, two.behaviour = both_ways(one), both_ways(two)
    run(settings_of(tmp_path, both, teachers=["a", "b"], judges=["a", "b"], judged_drafts=2))
    assert judged == {"small:1b": 2, "big": 2}  # each only the other's draft, against the bad answer
    assert [row["verified_by"] for row in rewrites(tmp_path)] == ["judges"]


def test_checks_and_judges_have_to_agree_where_both_are_asked(tmp_path: Path, one: Server, judge: Server):
    fail(tmp_path, 1, 2)
    one.reply = lambda asked: right(asked) if question(1) in asked else words(asked)
    models = [one.entry("a"), judge.entry("j")]
    result = run(settings_of(tmp_path, models, teachers=["a"], judges=["j"], scorer="judged"))
    assert result["rewrites"] == 0
    reasons = {row["instruction"]: row["reason"] for row in unsolved(tmp_path)}
    assert reasons[question(1)] == "checks and judges disagree: the judges see no difference"
    assert "the text differs" in reasons[question(2)]


def test_what_waits_for_a_judge_is_in_the_history_once_it_is_decided(tmp_path: Path, one: Server, judge: Server):
    listening = judge.behaviour
    judge.behaviour = lambda handler, _: send(handler, b"no", 500)
    fail(tmp_path, 1, check="contains")
    one.reply = words
    models = [one.entry("a"), judge.entry("j")]
    settings = settings_of(tmp_path, models, teachers=["a"], judges=["j"], scorer="judged")
    for night in range(2):
        assert run(settings, NOW + night)["unsolved"] == 1
    assert rows(tmp_path, "patterns.jsonl") == []
    judge.behaviour = listening
    assert run(settings, NOW + 2)["rewrites"] == 1
    assert [row["solved"] for row in rows(tmp_path, "patterns.jsonl") if "solved" in row] == [True]


def test_the_heuristic_scores_what_has_no_check(tmp_path: Path, one: Server):
    fail(tmp_path, 1, 2, check=None)
    one.reply = lambda asked: words(asked) + " Both are even." * 5 if question(1) in asked else "ANSWER: four"
    run(settings_of(tmp_path, [one.entry("a")], teachers=["a"], scorer="heuristic", judged_drafts=1))
    assert [(row["instruction"], row["quality_score"]) for row in rewrites(tmp_path)] == [(question(1), 0.85)]
    assert [row["reason"] for row in unsolved(tmp_path)] == ["quality 0.50 < 0.7"]


def test_without_judges_what_has_no_check_stays_unsolved_and_costs_nothing(tmp_path: Path, one: Server):
    fail(tmp_path, 1, check=None)
    run(settings_of(tmp_path, [one.entry("a")], teachers=["a"]))
    assert unsolved(tmp_path)[0]["reason"].startswith("nothing to verify")
    assert one.calls == []


@pytest.mark.parametrize(
    ("budget", "over", "calls"),
    [
        ({"budget_calls": 5}, "calls", 5),
        ({"budget_tokens": 5 * 120 + 1100}, "tokens", 5),
        ({"budget_money": 4 * 0.0012 + 0.0113}, "money", 5),
    ],
)
def test_what_is_over_is_named_and_the_rest_waits_for_the_next_night(
    tmp_path: Path, one: Server, budget: dict[str, float], over: str, calls: int
):
    fail(tmp_path, *range(1, 9))
    entry = one.entry("a", price_in=10.0, price_out=10.0)
    settings = settings_of(tmp_path, [entry], teachers=["a"], concurrency=4, **budget)
    result = run(settings)
    assert (result["over"], result["spent"]["calls"] <= calls) == (over, True)
    assert len(one.calls) == result["spent"]["calls"] > 0
    assert result["worked_on"] + result["left"] == 8
    assert result["left"] > 0
    before = len(one.calls)
    assert run(settings, NOW + 60)["left"] == result["left"]  # the same day: nothing more is asked
    assert len(one.calls) == before
    later = run(settings, NOW + 24 * 3600)
    assert later["rewrites"] > 0
    assert len(one.calls) > before


def test_a_budget_of_zero_asks_nobody_and_is_no_failure(tmp_path: Path, one: Server):
    fail(tmp_path, 1)
    with pytest.raises(NothingToDo, match="the budget of calls is zero: nobody was asked"):
        run(settings_of(tmp_path, [one.entry("a")], teachers=["a"], budget_calls=0))
    assert one.asked == 0


def test_a_second_harvest_of_the_same_night_is_free(tmp_path: Path, one: Server, two: Server, judge: Server):
    fail(tmp_path, 1, 2, 3)
    fail(tmp_path, 4, 5, check=None)
    models = [one.entry("a"), two.entry("b"), judge.entry("j")]
    settings = settings_of(tmp_path, models, teachers=["a", "b"], judges=["j"])
    first = run(settings)
    before = sorted(row["output"] for row in rewrites(tmp_path))
    paid = [len(each.calls) for each in (one, two, judge)]
    for path in (tmp_path / "training_data").glob("harvest_*"):
        path.unlink()
    second = run(settings)
    assert sorted(row["output"] for row in rewrites(tmp_path)) == before
    assert [len(each.calls) for each in (one, two, judge)] == paid
    assert second["spent"] == first["spent"]


CONFIGURATION = """
[hygiene]
privacy = false
[providers]
order = []
[harvest]
teachers = ["a"]
samples = 2
concurrency = 3
[[providers.models]]
name = "a"
kind = "{kind}"
url = "{url}"
model = "{model}"
"""


def test_a_harvest_that_is_killed_pays_no_call_twice(tmp_path: Path, one: Server):
    fail(tmp_path, *range(1, 31))
    (tmp_path / "nightschool.toml").write_text(CONFIGURATION.format(kind=one.kind, url=one.url, model=one.model))
    environment = {**os.environ, "NIGHTSCHOOL_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pipeline.cli", "harvest"]
    one.reply = lambda asked: time.sleep(0.02) or right(asked)
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(one.calls) < 15:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    under_way = 3
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    assert len(rewrites(tmp_path)) == 30
    assert len({row["interaction_id"] for row in rewrites(tmp_path)}) == 30
    # Two drafts a failure; only what was not answered yet when it was killed may be asked again.
    assert 60 <= len(one.calls) <= 60 + under_way


def test_what_a_cluster_is_sent_decides_alike_with_its_part_of_the_budget(tmp_path: Path, one: Server):
    fail(tmp_path, 1, 2, 3, 4)
    settings = settings_of(tmp_path, [one.entry("a")], teachers=["a"], budget_calls=8, concurrency=1)
    failures = [failure(row) for path in tmp_path.glob("logs/interactions/*.jsonl") for row in jsonl.read(path)]
    advice = Steering(settings.layout.patterns, [], Strategy(1.0, 1.0, 2), NOW, 0, Problems())
    council = pickle.loads(pickle.dumps(Council(settings, None, time.time() + 60, "20261120", 2, advice)))
    decided = council(failures)
    assert [decision.draft.answer for _, decision in decided] == ["2", "4"]
    assert len(one.calls) == 4
    assert not (tmp_path / "training_data").exists()


def failure(row: dict[str, Any]) -> Failure:
    verdict = {"signal": "failed", "weight": 0.4, "agreeing": [], "overruled": []}
    return Failure.model_validate({**row, "verdict": verdict})


def test_names_that_nobody_has_are_a_mistake_of_the_settings(tmp_path: Path, one: Server):
    fail(tmp_path, 1)
    with pytest.raises(ConfigurationError, match="no model 'aa'"):
        run(settings_of(tmp_path, [one.entry("a")], teachers=["aa"]))
    with pytest.raises(ConfigurationError, match="names nobody"):
        run(settings_of(tmp_path, [one.entry("a")], teachers=["a"], scorer="judged"))


def test_unused_homes_get_no_file_of_answers(tmp_path: Path):
    fail(tmp_path, 1, check=None)
    run(Settings(home=tmp_path, hygiene={"privacy": False}))
    assert rows(tmp_path, "failures_????????.jsonl")
    assert not (tmp_path / "training_data" / "answers.sqlite").exists()
    shutil.rmtree(tmp_path / "training_data")
