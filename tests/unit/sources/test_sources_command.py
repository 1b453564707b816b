import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from foreign import SAMPLES, lines, litellm_rows

from pipeline.lib.config import load
from pipeline.lib.errors import NightschoolError, UsageError
from pipeline.sources import add, remove, sources

COMMENTED = """# mine
[train]
rank = 4  # small

[harvest]
# what else to read
sources = [
    "otlp:old.jsonl",  # the collector
]
hours = 12
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LLM_USER_PATH", "DATA_DIR", "NIGHTSCHOOL_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(SAMPLES / "openwebui_0.12.4_webui.db", tmp_path / "webui.db")
    return tmp_path


def invoke(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(home), "sources", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_source_is_previewed_by_what_it_would_give(home: Path):
    add(load(home), "open-webui:webui.db")
    (found,) = sources(load(home), None, None, {}, home)["sources"]
    assert found == {
        "source": "open-webui:webui.db",
        "configured": True,
        "rows": 2,
        "thumbs_up": 1,
        "thumbs_down": 1,
        "edited": 1,
        "preferred": 1,
        "errors": 0,
        "failures": found["failures"],
        "users": 1,
        "first": 1795174107.0,
        "last": 1795174288.0,
        "problems": [],
    }
    assert sum(found["failures"].values()) == 2
    assert found["failures"]["edited"] == 1


def test_the_window_of_a_preview_is_respected(home: Path):
    add(load(home), "open-webui:webui.db")
    shown = json.loads(invoke(home, "--json", "--since", "2026-11-21"))
    assert shown["sources"][0]["rows"] == 0
    shown = json.loads(invoke(home, "list", "--json", "--until", "2026-11-21"))
    assert shown["sources"][0]["rows"] == 2


def test_what_is_found_but_not_configured_is_shown_with_the_way_to_add_it(home: Path):
    place = home / "user" / ".config" / "io.datasette.llm"
    place.mkdir(parents=True)
    shutil.copyfile(SAMPLES / "llm_0.36_logs.db", place / "logs.db")
    shown = invoke(home)
    assert f"not read at night: llm:{place / 'logs.db'}  (nightschool sources add" in shown
    assert "rows 2" in shown
    for specification in ("llm", f"llm:{place / 'logs.db'}"):
        add(load(home), specification)
        assert [each["configured"] for each in sources(load(home), None, None)["sources"]] == [True]
        remove(load(home), specification)


def test_a_source_that_cannot_be_read_shows_why_and_the_others_go_on(home: Path):
    record, *_ = litellm_rows()
    lines(home / "calls.jsonl", [record, {"oops": 1}])
    (home / "nightschool.toml").write_text(
        '[harvest]\nsources = ["llm:gone.db", "litellm:calls.jsonl", "nonsense", "open-webui:webui.db"]\n'
    )
    shown = invoke(home).splitlines()
    assert shown[0].startswith("litellm:calls.jsonl  rows 1  failures –")
    assert shown[1].startswith("open-webui:webui.db  rows 2  ")
    assert shown[2:] == [
        f"llm:gone.db  error: no file {home / 'gone.db'}",
        "nonsense  error: no source of the kind 'nonsense'",
        "litellm:calls.jsonl: 1 × not in a shape that is known (calls.jsonl line 2)",
    ]


def test_with_nothing_configured_and_nothing_found_it_says_how_to_begin(home: Path):
    assert "nightschool sources add kind:path" in invoke(home)


def test_adding_keeps_comments_order_and_mode_of_the_file_and_happens_once(home: Path):
    path = home / "nightschool.toml"
    path.write_text(COMMENTED)
    path.chmod(0o600)
    assert add(load(home), "open-webui:webui.db")["added"] is True
    text = path.read_text()
    assert load(home).harvest.sources == ["otlp:old.jsonl", "open-webui:webui.db"]
    assert [line for line in COMMENTED.splitlines() if line not in text.splitlines()] == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert add(load(home), "open-webui:webui.db")["added"] is False
    assert path.read_text() == text
    remove(load(home), "open-webui:webui.db")
    assert load(home).harvest.sources == ["otlp:old.jsonl"]
    assert "# the collector" in path.read_text()


@pytest.mark.parametrize("text", ["", "harvest.hours = 3\n", '[harvest]\nsources = "otlp:a, otlp:b"\n'])
def test_adding_works_however_the_file_is_written(home: Path, text: str):
    (home / "nightschool.toml").write_text(text)
    before = load(home).harvest
    add(load(home), "open-webui:webui.db")
    after = load(home).harvest
    assert after.sources == [*before.sources, "open-webui:webui.db"]
    assert after.hours == before.hours


def test_what_cannot_be_read_is_not_added(home: Path):
    (home / "webui.db").write_bytes(b"damaged")
    for specification in ("open-webui:webui.db", "llm:gone.db", "llmm:x"):
        with pytest.raises(NightschoolError):
            add(load(home), specification)
    assert not (home / "nightschool.toml").exists()


def test_an_unknown_kind_and_a_place_that_is_not_listed_are_wrong_usage(home: Path):
    with pytest.raises(UsageError, match="no source of the kind 'open-webu'") as caught:
        add(load(home), "open-webu:x")
    assert "open-webui" in caught.value.hint
    with pytest.raises(UsageError, match=r"'llm' is not in harvest\.sources"):
        remove(load(home), "llm")
