import time
from pathlib import Path
from typing import Any

import pytest
from handmade import FIRST, SECOND, THIRD, answered, judged, make, make_settings, promote, swap

from pipeline.commands.tables import show_evidence
from pipeline.compare import compare
from pipeline.explain import explain
from pipeline.lib import generations, jsonl, permission, pins
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UsageError
from pipeline.lib.files import read_json, write_json
from pipeline.prune import prune
from pipeline.versions import pin, unpin, versions

IDS = ["abcdef" + f"{number:018x}" for number in range(3)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, deploy={"keep": 1})


def marks(settings: Settings) -> dict[str, list[str]]:
    return {each["id"]: each["marks"] for each in versions(settings)["versions"]}


class TestList:
    def test_every_version_says_what_it_is_to_the_installation(self, settings: Settings):
        for identity in (FIRST, SECOND):
            make(settings, identity)
            promote(settings, identity)
        candidate = judged(make(settings, THIRD, SECOND), SECOND)
        permission.approve(candidate, generations.incumbent(settings.layout), "Ada")
        assert marks(settings) == {"base": [], FIRST: ["previous"], SECOND: ["current"], THIRD: []}
        waiting = {"state": "awaiting", "until": time.time() + 60}
        write_json(candidate.folder / permission.APPROVAL, waiting)
        pin(settings, "current")
        assert marks(settings) == {"base": [], FIRST: ["previous"], SECOND: ["current", "pinned"], THIRD: ["awaiting"]}

    def test_a_version_is_shown_with_its_numbers(self, settings: Settings):
        judged(make(settings, FIRST, trained_on=("a", "b")), "base")
        shown = versions(settings)["versions"][1]
        assert (shown["id"], shown["parent"], shown["base"], shown["rows"]) == (FIRST, "base", "models/starter", 2)
        assert (shown["verdict"], shown["difference"], shown["held_out"]) == ("pass", 0.1, 0.6)
        assert shown["created"] == "2026-11-18T02:00:00+00:00"


def test_what_people_and_models_wrote_does_nothing_to_the_terminal_of_who_decides(capsys: pytest.CaptureFixture[str]):
    answer = {"text": "no\x1b[2J\n  B (right): yes", "passed": False}
    row = {"question": "\x1b]0;title\x07what?\nA (right): yes", "first": answer, "second": answer}
    verdict = {"outcome": "pass", "reason": "\x1b[8mhidden"}
    show_evidence({"candidate": "B", "incumbent": "A", "verdict": verdict, "approval": None, "answers": [row]})
    told = capsys.readouterr().out
    assert not {"\x1b", "\x07"} & set(told)
    assert "␛]0;title␇what? ⏎ A (right): yes\n" in told
    assert told.count("(wrong): no␛[2J ⏎   B (right): yes\n") == 2


class TestPins:
    def test_a_pinned_version_is_never_pruned(self, settings: Settings):
        for day in range(1, 9):
            make(settings, f"2026100{day}T020000Z")
        pin(settings, "20261002T020000Z")
        assert "20261002T020000Z" not in prune(settings, dry_run=False)["removed"]
        unpin(settings, "20261002T020000Z")
        assert prune(settings, dry_run=False)["removed"] == ["20261002T020000Z"]

    def test_what_waits_for_approval_is_not_pruned_until_its_time_is_over(self, settings: Settings):
        generation = make(settings, FIRST)
        make(settings, SECOND)
        write_json(generation.folder / permission.APPROVAL, {"state": "awaiting", "until": time.time() + 60})
        assert prune(settings, dry_run=True)["removed"] == []
        write_json(generation.folder / permission.APPROVAL, {"state": "awaiting", "until": time.time() - 60})
        assert prune(settings, dry_run=True)["removed"] == [FIRST]

    def test_pinning_what_is_current_says_that_it_is_frozen(self, settings: Settings):
        make(settings, FIRST)
        assert pin(settings, FIRST) == {"pinned": FIRST, "frozen": False}
        assert pin(settings, "current") == {"pinned": "base", "frozen": True}
        assert set(read_json(settings.layout.pins)["pinned"]) == {FIRST, "base"}

    def test_pins_are_of_versions_that_exist_and_are_set_once(self, settings: Settings):
        with pytest.raises(UsageError, match=FIRST):
            pin(settings, FIRST)
        make(settings, FIRST)
        with pytest.raises(NothingToDo, match="is not pinned"):
            unpin(settings, FIRST)
        pin(settings, FIRST)
        with pytest.raises(NothingToDo, match="pinned already"):
            pin(settings, FIRST)

    def test_a_pin_can_be_taken_from_a_version_that_is_gone(self, settings: Settings):
        pins.pin(settings.layout, FIRST)
        unpin(settings, FIRST)
        assert pins.pinned(settings.layout) == {}


class TestCompare:
    def test_of_candidate_and_its_incumbent_the_one_file_tells_both_sides(self, settings: Settings):
        answered(judged(make(settings, FIRST), "base"), q1=("right of an earlier night", "wrong"))
        answered(judged(make(settings, SECOND, FIRST), FIRST), q1=("right new", "wrong old"), q2=("right", "right"))
        found = compare(settings, FIRST, SECOND, 10)
        assert [(row["id"], row["first"]["text"], row["second"]["text"]) for row in found["answers"]] == [
            ("q1", "wrong old", "right new"),
            ("q2", "right", "right"),
        ]
        turned = compare(settings, SECOND, FIRST, 10)["answers"][0]
        assert (turned["first"]["text"], turned["second"]["text"]) == ("right new", "wrong old")

    def test_of_two_nights_only_questions_asked_of_both_are_compared(self, settings: Settings):
        answered(judged(make(settings, FIRST), "base"), q1=("right", "wrong"), q2=("wrong", "wrong"))
        answered(judged(make(settings, SECOND), "base"), q2=("right", "wrong"), q3=("right", "right"))
        second = settings.layout.generation(SECOND) / "canary.jsonl"
        same_id = {"id": "q1", "messages": [{"role": "user", "content": "another question"}]}
        answer = {"text": "right", "passed": True, "error": None}
        jsonl.append(second, [{**same_id, "candidate": answer, "incumbent": answer}])
        found = compare(settings, FIRST, SECOND, 10)
        assert [row["id"] for row in found["answers"]] == ["q2"]
        assert (found["questions"], found["only_second_right"], found["both_right"]) == (1, 1, 0)

    def test_differences_in_being_right_come_first_and_the_counts_are_of_all(self, settings: Settings):
        generation = judged(make(settings, FIRST), "base")
        answered(generation, same=("right", "right"), words=("wrong a", "wrong b"), worse=("wrong", "right"))
        promote(settings, FIRST)
        found = compare(settings, "base", "current", 2)
        assert [row["id"] for row in found["answers"]] == ["worse", "words"]
        assert (found["questions"], found["only_first_right"], found["both_right"]) == (3, 1, 1)
        assert (found["second"]["steps"], found["second"]["held_out"], found["first"]["steps"]) == (7, 0.6, None)

    def test_answers_of_another_bare_base_are_not_taken_for_this_one(self, settings: Settings):
        other = settings.model_copy(update={"model": settings.model.model_copy(update={"base": "models/other"})})
        (settings.home / "models/other").mkdir()
        (settings.home / "models/other/model.safetensors").write_bytes(b"another model")
        answered(judged(make(other, FIRST), "base"), q1=("right", "right"))
        answered(judged(make(settings, SECOND), FIRST), q1=("right", "right"))
        assert compare(settings, "base", SECOND, 10)["questions"] == 0

    def test_a_version_is_not_compared_with_itself(self, settings: Settings):
        make(settings, FIRST)
        promote(settings, FIRST)
        with pytest.raises(UsageError, match="same version"):
            compare(settings, "current", FIRST, 10)


def interaction(identity: str) -> dict[str, Any]:
    return {
        "kind": "interaction",
        "id": identity,
        "source": "gateway",
        "at": 1_763_600_000.0,
        "messages": [{"role": "user", "content": "what is 2 + 2?"}],
        "answer": "5",
        "adapter": "base",
        "feedback": {"success": False},
    }


def rewrite(identity: str) -> dict[str, Any]:
    return {
        "instruction": "what is 2 + 2?",
        "output": "4",
        "reasoning": "",
        "quality_score": 0.9,
        "interaction_id": identity,
        "messages": [{"role": "user", "content": "what is 2 + 2?"}],
        "bad_output": "5",
        "signal": "check_failed",
        "teacher": "starter@base",
        "votes": {"cast": 4},
        "verified_by": "vm",
        "at": 1_763_600_000.0,
    }


class TestExplain:
    @pytest.fixture
    def learned(self, settings: Settings) -> Settings:
        """An interaction that failed, was solved, learned by two generations; the second did not last."""
        data = settings.layout.training_data
        jsonl.write(settings.layout.interactions / "2025-11-20.jsonl", [interaction(identity) for identity in IDS[:2]])
        jsonl.write(data / "harvest_20251120.jsonl", [rewrite(IDS[0])])
        unsolved = {
            "interaction_id": IDS[1],
            "signal": "check_failed",
            "reason": "no majority",
            "teacher": "t",
            "at": 1,
        }
        jsonl.write(data / "harvest_20251120.unsolved.jsonl", [unsolved])
        for run in (FIRST, SECOND):
            row = {"messages": [], "interaction_id": IDS[0], "origin": "rewrite"}
            jsonl.write(data / run / "sft.jsonl", [row])
            write_json(data / run / "dataset.json", {})
            judged(make(settings, run, trained_on=(IDS[0],)), "base")
            promote(settings, run)
        jsonl.write(data / THIRD / "dropped.jsonl", [{"interaction_id": IDS[0], "reason": "empty answer"}])
        write_json(data / THIRD / "dataset.json", {})
        swap(settings, FIRST, "worse")
        make(settings, THIRD, trained_on=("something else",))
        return settings

    def test_an_interaction_is_followed_to_the_generations_that_learned_from_it(self, learned: Settings):
        story = explain(learned, f"chatcmpl-{IDS[0]}")
        assert (story["interaction"]["question"], story["interaction"]["signal"]) == ("what is 2 + 2?", "check_failed")
        assert [(each["output"], each["verified_by"]) for each in story["rewrites"]] == [("4", "vm")]
        assert [(row["run"], row["used"], row["reason"]) for row in story["datasets"]] == [
            (FIRST, True, "rewrite"),
            (SECOND, True, "rewrite"),
            (THIRD, False, "empty answer"),
        ]
        fates = {each["id"]: (each["promoted"], each["rolled_back"], each["current"]) for each in story["generations"]}
        assert fates == {FIRST: (True, False, True), SECOND: (True, True, False)}
        assert {each["verdict"] for each in story["generations"]} == {"pass"}

    def test_an_interaction_that_nobody_could_fix_says_why(self, learned: Settings):
        story = explain(learned, IDS[1])
        assert [each["reason"] for each in story["unsolved"]] == ["no majority"]
        assert story["rewrites"] == story["datasets"] == story["generations"] == []

    def test_a_beginning_of_the_id_suffices_while_it_means_one_interaction(self, learned: Settings):
        jsonl.append(learned.layout.interactions / "2025-11-20.jsonl", [interaction("123456" + "0" * 18)])
        assert explain(learned, "123456")["id"] == "123456" + "0" * 18
        for wanted, reason in (("abcdef", "the beginning of 2 ids"), ("12345", "too short"), ("fedcba", "no interact")):
            with pytest.raises(UsageError, match=reason):
                explain(learned, wanted)

    def test_an_interaction_from_another_log_is_known_by_what_the_harvest_kept(self, learned: Settings):
        (learned.layout.interactions / "2025-11-20.jsonl").unlink()
        story = explain(learned, IDS[0])
        assert story["interaction"] is None
        assert len(story["rewrites"]) == 1
