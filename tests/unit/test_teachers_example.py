"""The example of docs/teachers.md is a configuration that works."""

import re
from pathlib import Path

import pytest

from pipeline.backends.teachers.choice import ledger_of, seated
from pipeline.backends.teachers.scoring import without_check
from pipeline.lib.config import FILE_NAME, load
from pipeline.lib.errors import UnavailableError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "teachers.md"


def test_the_example_names_models_that_it_has_and_judges_that_may_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    (tmp_path / FILE_NAME).write_text(example[1], encoding="utf-8")
    settings = load(tmp_path)
    assert without_check(settings, None)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    nobody = pytest.raises(UnavailableError, match=r"no teacher answers: ollama/qwen3:8b, ollama/qwen2\.5-coder:14b")
    with nobody, seated(settings, None, ledger_of(settings, "20261120")):
        pass


def test_every_problem_and_reason_of_the_table_is_one_that_the_code_gives():
    table = DOCUMENT.read_text(encoding="utf-8").split("| problem |")[1].split("\n\n")[0]
    code = "".join(path.read_text(encoding="utf-8") for path in DOCUMENT.parents[1].glob("pipeline/backends/*/*.py"))
    named = set(re.findall(r"`([^`]+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert len(named) >= 12
    assert [each for each in named if f'"{each}"' not in code and "HTTP" not in each and f": {each}" not in code] == []
