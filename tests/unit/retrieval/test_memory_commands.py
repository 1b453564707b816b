import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_errors import cli
from test_tune import queries
from tiny import TinyEmbedder, tiny_settings, write

from pipeline import feedback, rag
from pipeline.commands import tables_of_memory
from pipeline.index import index
from pipeline.lib import jsonl
from pipeline.lib.config import Settings

ID = "abcdef" + "0" * 18


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["index"], 10, "no documents"),
        (["rag", "settle"], 10, "no documents are indexed"),
        (["rag", "search", "pump"], 64, "run `nightschool index` first"),
        (["feedback"], 64, "which answer?"),
        (["feedback", ID, "--thumb", "sideways"], 64, "up or down"),
        (["feedback", ID], 64, "feedback says nothing"),
        (["feedback", ID, "--thumb", "up"], 64, "no interaction"),
    ],
)
def test_a_command_that_cannot_run_says_why_with_its_exit_code(
    tmp_path: Path, arguments: list[str], code: int, said: str
):
    done = cli(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_feedback_by_hand_is_in_the_rate(tmp_path: Path):
    asked = [{"role": "user", "content": "x"}]
    answered = {"kind": "interaction", "id": ID, "source": "gateway", "at": 1.0, "messages": asked, "adapter": "base"}
    jsonl.append(tmp_path / "logs" / "interactions" / "2026-11-20.jsonl", [answered])
    assert cli(tmp_path, "feedback", ID[:6], "--thumb", "up", "--failed").returncode == 0
    done = cli(tmp_path, "feedback", "--rate")
    assert done.returncode == 0
    assert "100.0%" in done.stdout
    assert "20.6% to 100.0%" in done.stdout  # Wilson for 1 of 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = tiny_settings(tmp_path)
    write(tmp_path, "20261120-pump.md", "pump leaks")
    index(settings, False, TinyEmbedder())
    return settings


def test_tables_show_what_was_found(settings: Settings, capsys: pytest.CaptureFixture[str]):
    tables_of_memory.show_passages(rag.search(settings, "pump leaks", 1, None, TinyEmbedder()))
    path = queries(settings, {"query": "pump leaks", "relevant": ["documents/20261120-pump.md"]}, {"query": 1})
    tables_of_memory.show_tuning(rag.tune(settings, path, TinyEmbedder()))
    access = {"at": 9e9, "query": "q", "key": "k", "version": "v", "ids": ["gone#0"], "similarities": [1.0]}
    jsonl.append(settings.layout.retrieval, [{**access, "ms": 1.5, "cached": True}])
    tables_of_memory.show_hot(rag.hot(settings))
    tables_of_memory.show_rate(feedback.rate(settings, 7))
    shown = capsys.readouterr()
    assert "1.000  documents/20261120-pump.md (2026-11-20, quality 0.04)" in shown.out
    assert "recommended: retrieval.history = 1, retrieval.similarity = -1, documents: all; recall 100.0%" in shown.out
    assert "1 accesses, 1 of them answered without Chroma" in shown.out
    assert "gone#0" in shown.out
    assert f"{path} line 2" in shown.err


def test_no_command_imports_what_only_an_index_needs():
    code = """
import sys
import pipeline.cli, pipeline.index, pipeline.rag, pipeline.feedback, pipeline.gateway.app
print({"chromadb", "sentence_transformers", "torch", "transformers", "scipy", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
