import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from test_cli_errors import cli

from pipeline.commands.patterns import show_patterns
from pipeline.evolution import history
from pipeline.evolution.history import Strategy
from pipeline.evolution.steering import Steering
from pipeline.lib import jsonl
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import write_json
from pipeline.lib.problems import Problems
from pipeline.patterns import export, import_, patterns
from pipeline.report import report
from pipeline.reporting.story import show

NOW = 1e9
DAY = 24 * 3600.0
DEFAULT = Strategy(1.0, 0.9, 32)
EASY = [f"set total to {first} + {second}" for first in range(8) for second in range(5)]
HARD = [
    f"set total to ({first} + {second}) * (3 - ({second} * 2 - 7)) + 1" for first in range(8) for second in range(5)
]


def harvested(home: Path, nights: int, first_night: int = 0) -> Steering:
    """Nights in which what is easy is solved by the second draft and what is hard never."""
    for night in range(first_night, first_night + nights):
        path, problems = Settings(home=home).layout.patterns, Problems()
        steering = Steering(path, EASY + HARD, DEFAULT, NOW + night * DAY, seed=0, problems=problems)
        assert problems.count == 0
        for number, question in enumerate(EASY + HARD):
            failure = f"{night} {number}"
            easy = question in EASY
            votes = {"cast": 4, "valid": 2, "accepted": 2, "first": 2} if easy else {"cast": 32, "valid": 0}
            assert steering.strategy(question, failure).samples >= 8
            error = "wrong value in total" if easy else "line 1: stack error: ADD on an empty stack"
            assert steering.record(question, failure, error, "m@1", votes, easy, f"2026112{night}T020000Z")
    return steering


def listed(home: Path, now: float = NOW + 3 * DAY) -> dict[str, Any]:
    return patterns(Settings(home=home), now)


def test_the_list_tells_what_failed_what_solved_it_and_what_tonight_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    harvested(tmp_path, 2)
    found = listed(tmp_path)
    easy, hard = sorted(found["patterns"], key=lambda each: -each["solved"])
    assert (easy["label"], easy["length"], easy["category"]) == ("set total to N + N", "6–7", "logic")
    assert (easy["failures"], easy["solved"], hard["solved"], hard["category"]) == (80, 80, 0, "stack")
    assert easy["rates"]["rate"] == 1
    assert hard["rates"]["high"] < 0.05
    assert hard["best"] is None
    assert easy["tonight"]["samples"] > 8 >= hard["tonight"]["samples"] >= 4
    assert hard["weight"] > easy["weight"] == 1
    assert [each["best_model"] for each in found["categories"]] == ["m@1", "m@1"]
    show_patterns(found)
    told = capsys.readouterr().out
    assert "set total to N + N" in told
    assert "stack: 0 of 80 solved" in told


def test_a_pattern_is_described_once_and_every_attempt_written_at_once(tmp_path: Path):
    harvested(tmp_path, 2)
    kinds = [record["kind"] for record in jsonl.read(Settings(home=tmp_path).layout.patterns)]
    assert kinds.count("pattern") == 2
    assert kinds.count("attempt") == 160
    assert kinds[0] == "pattern"


def test_what_only_ran_is_no_attempt(tmp_path: Path):
    steering = Steering(tmp_path / "patterns.jsonl", EASY, DEFAULT, NOW, 0, Problems())
    assert not steering.record(EASY[0], "f", None, "m", {"cast": 32, "valid": 20, "agreeing": 20}, True, None)
    assert not steering.record(EASY[0], "f", None, "m", {}, True, None)
    assert not (tmp_path / "patterns.jsonl").exists()


def test_an_accepted_answer_that_was_not_kept_is_not_solved(tmp_path: Path):
    steering = Steering(tmp_path / "patterns.jsonl", EASY, DEFAULT, NOW, 0, Problems())
    assert steering.record(EASY[0], "f", None, "m", {"cast": 64, "valid": 1, "accepted": 1}, False, None)
    (attempt,) = history.read(tmp_path / "patterns.jsonl", Problems()).attempts.values()
    assert (attempt.solved, attempt.accepted, attempt.first, attempt.category) == (False, 1, 33, "unknown")


def test_another_machine_gives_the_same_strategies(tmp_path: Path):
    harvested(tmp_path, 1)
    steering = Steering(Settings(home=tmp_path).layout.patterns, EASY, DEFAULT, NOW + DAY, 3, Problems())
    elsewhere = pickle.loads(pickle.dumps(steering))
    assert [elsewhere.strategy(each, each) for each in EASY] == [steering.strategy(each, each) for each in EASY]


def test_what_is_exported_can_be_imported_elsewhere_and_a_second_time_changes_nothing(tmp_path: Path):
    (here := tmp_path / "here").mkdir()
    (there := tmp_path / "there").mkdir()
    harvested(here, 2)
    harvested(there, 1, first_night=5)
    assert export(Settings(home=here), tmp_path / "document.json")["attempts"] == 160
    first = import_(Settings(home=there), tmp_path / "document.json")
    assert (first["patterns"], first["attempts"]) == (0, 160)
    written = Settings(home=there).layout.patterns.read_bytes()
    second = import_(Settings(home=there), tmp_path / "document.json")
    assert (second["patterns"], second["attempts"]) == (0, 0)
    assert Settings(home=there).layout.patterns.read_bytes() == written
    assert sum(each["failures"] for each in listed(there)["patterns"]) == 240
    (empty := tmp_path / "empty").mkdir()
    import_(Settings(home=empty), tmp_path / "document.json")
    assert listed(empty) == listed(here)


DOCUMENT = {"schema": 1, "kind": "nightschool patterns", "records": []}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "no exported patterns"),
        (json.dumps({**DOCUMENT, "schema": 2}), "schema 2, only 1 is known"),
        (json.dumps({**DOCUMENT, "records": {}}), "records is no list"),
        (json.dumps({**DOCUMENT, "records": [{"kind": "attempt"}]}), "record 1: an attempt without pattern"),
    ],
)
def test_a_bad_document_is_one_clear_error_and_adds_nothing(tmp_path: Path, content: str, complaint: str):
    harvested(tmp_path, 1)
    before = Settings(home=tmp_path).layout.patterns.read_bytes()
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(BadRecordError, match=complaint):
        import_(Settings(home=tmp_path), tmp_path / "bad.json")
    assert Settings(home=tmp_path).layout.patterns.read_bytes() == before


def test_the_commands_work_from_a_shell(tmp_path: Path):
    assert "nothing learned yet" in cli(tmp_path, "patterns").stdout
    harvested(tmp_path, 1)
    assert cli(tmp_path, "patterns", "export", "learned.json").returncode == 0
    assert "attempts: 0" in cli(tmp_path, "patterns", "import", "learned.json").stdout
    assert len(json.loads(cli(tmp_path, "patterns", "list", "--json").stdout)["patterns"]) == 2
    failed = cli(tmp_path, "patterns", "import", "absent.json")
    assert failed.returncode == 65
    assert failed.stderr.startswith("error: cannot read absent.json")


def test_the_report_shows_what_past_nights_taught(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    steering = harvested(tmp_path, 3)
    run, manifest = "20261122T020000Z", "training_data/harvest_20261122.json"
    outputs = {"failures": 80, "rewrites": 40, "unsolved": 40, "left": 0, "manifest": manifest}
    line = {"run": run, "stage": "harvest", "exit_code": 0, "seconds": 1.0, "outputs": outputs}
    jsonl.append(tmp_path / "logs" / "runs.jsonl", [line])
    write_json(tmp_path / manifest, {"steering": steering.summary()})
    show(report(Settings(home=tmp_path, server={"port": 9}), None))
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "160 earlier tries; 40 of 80 failures solved" in told
    samples = {each["label"]: each["samples"] for each in steering.summary()["patterns"]}["set total to N + N"]
    assert f"{samples} samples at 1, not 32 at 1; solved 100%" in told


def test_a_first_night_has_nothing_to_tell_of_earlier_ones(tmp_path: Path):
    summary = harvested(tmp_path, 1).summary()
    assert summary["learned_from"] == 0
    assert [each["before"] for each in summary["patterns"]] == [None, None]
    assert {each["samples"] for each in summary["patterns"]} == {32}
