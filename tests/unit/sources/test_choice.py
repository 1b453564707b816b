import shutil
from pathlib import Path

import pytest
from foreign import SAMPLES, lines, litellm_rows, read, write_chroma

from pipeline.backends.sources.choice import KINDS, detect, open_source
from pipeline.backends.sources.llm_log import LlmLog
from pipeline.backends.sources.openai_jsonl import OpenAiJsonl
from pipeline.lib.errors import ConfigurationError, UnavailableError


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_a_path_relative_to_the_home(tmp_path: Path, kind: str):
    source = open_source(f"{kind}:some/place", tmp_path)
    assert source.name == f"{kind}:place"
    assert getattr(source, "kind", kind) == kind


def test_a_path_may_be_absolute_or_in_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for written in ("~/x/logs.db", str(tmp_path / "x" / "logs.db")):
        source = open_source(f"llm:{written}", Path("/elsewhere"))
        assert isinstance(source, LlmLog)
        assert source.path == tmp_path / "x" / "logs.db"


def test_a_pattern_of_exports_is_one_source_and_so_is_a_folder(tmp_path: Path):
    for number, record in enumerate(litellm_rows()):
        lines(tmp_path / f"{number}.jsonl", [record])
    for written in ("*.jsonl", "."):
        assert len(read(open_source(f"litellm:{written}", tmp_path))[0]) == 3


def test_a_pattern_of_databases_reads_one_after_the_other(tmp_path: Path):
    for name in ("llm_0.31_logs.db", "llm_0.36_logs.db"):
        shutil.copyfile(SAMPLES / name, tmp_path / name)
    source = open_source("llm:*.db", tmp_path)
    assert source.name == "llm:*.db"
    assert len(read(source)[0]) == 4


def test_a_plain_log_is_opened_by_its_existing_class(tmp_path: Path):
    assert isinstance(open_source("openai-jsonl:x.jsonl", tmp_path), OpenAiJsonl)


@pytest.mark.parametrize(
    ("specification", "hint"),
    [
        ("open-web-ui:webui.db", "did you mean 'open-webui'?"),
        ("langsmth", "did you mean 'langsmith'?"),
        ("???", "there are: llm, open-webui"),
        ("llm:", "for example llm:some/file"),
        ("litellm", "name it as litellm:path"),
    ],
)
def test_a_specification_that_makes_no_sense_says_what_would(
    tmp_path: Path, specification: str, hint: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        open_source(specification, tmp_path)
    assert hint in caught.value.hint


def test_a_pattern_that_matches_nothing_is_unavailable(tmp_path: Path):
    with pytest.raises(UnavailableError, match="no file matches"):
        open_source("otlp:*.jsonl", tmp_path)


def test_what_lies_in_its_standard_place_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / ".config" / "io.datasette.llm" / "logs.db"
    web = tmp_path / "data" / "webui.db"
    for path, sample in ((log, "llm_0.36_logs.db"), (web, "openwebui_0.12.4_webui.db")):
        path.parent.mkdir(parents=True)
        shutil.copyfile(SAMPLES / sample, path)
    (tmp_path / "chroma").mkdir()
    write_chroma(tmp_path / "chroma")
    environ = {"DATA_DIR": str(web.parent), "NIGHTSCHOOL_HOME": str(tmp_path)}
    assert detect(environ, tmp_path) == [("llm", log), ("open-webui", web), ("chroma", tmp_path / "chroma")]
    assert detect({}, tmp_path / "nobody") == [("open-webui", web), ("chroma", tmp_path / "chroma")]


def test_a_bare_kind_is_looked_for_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    shutil.copyfile(SAMPLES / "llm_0.36_logs.db", tmp_path / "logs.db")
    assert len(read(open_source("llm", Path("/elsewhere")))[0]) == 2
