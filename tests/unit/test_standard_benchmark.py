"""lm-eval itself reads these task files; only the model is a function here (tests/loop asks a real one)."""

import json
from pathlib import Path

import pytest

from pipeline.backends.checks.standard_benchmark import outcomes
from pipeline.lib.errors import BadRecordError, ConfigurationError

TASK = """task: successor
dataset_path: json
dataset_kwargs: {data_files: {test: numbers.jsonl}}
test_split: test
output_type: OUTPUT
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 7}
metric_list:
  - {metric: METRIC, aggregation: mean, higher_is_better: true}
"""


def write(folder: Path, output: str = "generate_until", metric: str = "exact_match") -> None:
    rows = [{"question": f"after {number}?", "answer": str(number + 1)} for number in range(4)]
    (folder / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.yaml").write_text(TASK.replace("OUTPUT", output).replace("METRIC", metric))


@pytest.fixture(autouse=True)
def no_shared_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_each_question_is_right_or_wrong_by_itself(tmp_path):
    write(tmp_path)
    asked = []

    def ask(text, stops, most_tokens):
        asked.append((text, tuple(stops), most_tokens))
        return "1" if text == "after 0?" else "3"

    found = outcomes(["task.yaml"], tmp_path, ask, 2)
    assert found == {("successor", str(number)): number in (0, 2) for number in range(4)}
    assert sorted(asked)[0] == ("after 0?", ("\n\n",), 7)


@pytest.mark.parametrize(
    ("output", "metric", "words"),
    [("loglikelihood", "acc", "likelihoods"), ("sing", "acc", "task.yaml")],
)
def test_task_that_cannot_be_asked_is_a_clear_error(tmp_path, output, metric, words):
    write(tmp_path, output, metric)
    with pytest.raises(BadRecordError) as error:
        outcomes(["task.yaml"], tmp_path, lambda *_: "1", 2)
    assert words in f"{error.value} {error.value.hint}"


def test_metric_that_is_no_yes_or_no_is_refused(tmp_path):
    write(tmp_path, metric="half")
    with (tmp_path / "task.yaml").open("a") as file:
        file.write("process_results: !function halves.half\n")
    (tmp_path / "halves.py").write_text("def half(doc, results):\n    return {'half': 0.5}\n")
    with pytest.raises(BadRecordError, match=r"half 0\.5"):
        outcomes(["task.yaml"], tmp_path, lambda *_: "1", 2)


def test_missing_task_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        outcomes(["nowhere.yaml"], tmp_path, lambda *_: "", 1)
