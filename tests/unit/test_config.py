import os
import tomllib
from pathlib import Path

import pytest

from pipeline.lib.config import SHORT_NAMES, Settings, example, load
from pipeline.lib.errors import ConfigurationError
from pipeline.lib.sections import Section

SECRET = "https://hooks.slack.com/services/T0/B0/s3cret"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NIGHTSCHOOL_") or name in SHORT_NAMES:
            monkeypatch.delenv(name)


def write(home: Path, text: str) -> None:
    (home / "nightschool.toml").write_text(text, encoding="utf-8")


def all_settings() -> list[tuple[str, str]]:
    return [
        (section, key)
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for key in field.annotation.model_fields
    ]


def test_a_home_without_a_file_has_the_defaults(tmp_path: Path):
    settings = load(tmp_path)
    assert settings.server.port == 8808
    assert settings.dataset.min_failures_to_train == 5
    assert settings.home == tmp_path.resolve()


@pytest.mark.parametrize(
    ("text", "where", "suggestion"),
    [
        ("[train]\nlerning_rate = 1", "train.lerning_rate", "did you mean 'learning_rate'?"),
        ("[trian]\nrank = 1", "trian", "did you mean 'train'?"),
        ('home = "/x"', "home", "--home, or NIGHTSCHOOL_HOME"),
        ("[home]\nx = 1", "home", "--home, or NIGHTSCHOOL_HOME"),
        ("[deploy]\nzzz = 1", "deploy.zzz", "known here: rollback_threshold_success"),
    ],
)
def test_an_unknown_key_is_refused_with_a_suggestion(tmp_path: Path, text: str, where: str, suggestion: str):
    write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=f"unknown setting '{where}'") as caught:
        load(tmp_path)
    assert suggestion in caught.value.hint


def test_the_home_is_no_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigurationError, match="unknown setting 'home'"):
        load(tmp_path, {"home.x": "1"})
    monkeypatch.setenv("NIGHTSCHOOL_HOME__X", "1")
    with pytest.raises(ConfigurationError, match="unknown setting 'home'"):
        load(tmp_path)


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert load(tmp_path).train.epochs is None
    write(tmp_path, "[train]\nepochs = 2\nrank = 4")
    assert load(tmp_path).train.epochs == 2
    monkeypatch.setenv("NUM_EPOCHS", "3")
    assert load(tmp_path).train.epochs == 3
    settings = load(tmp_path, {"train.epochs": "4"})
    assert settings.train.epochs == 4
    assert settings.train.rank == 4


def test_the_long_environment_name_beats_the_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORA_RANK", "8")
    monkeypatch.setenv("NIGHTSCHOOL_TRAIN__RANK", "16")
    assert load(tmp_path).train.rank == 16


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_every_short_name_sets_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    section, key = SHORT_NAMES[name]
    written = SECRET if key == "webhook" else "1"
    monkeypatch.setenv(name, written)
    value = getattr(getattr(load(tmp_path), section), key)
    assert (value.get_secret_value() if key == "webhook" else value) == (SECRET if key == "webhook" else 1)


def test_a_misspelt_long_environment_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTSCHOOL_SERVER__PROT", "1")
    with pytest.raises(ConfigurationError, match=r"server\.prot") as caught:
        load(tmp_path)
    assert "'port'" in caught.value.hint


def test_the_home_comes_from_the_environment_when_it_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTSCHOOL_HOME", str(tmp_path))
    write(tmp_path, "[server]\nport = 9999")
    assert load().server.port == 9999


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[train]\nrank = "four"', "train.rank"),
        ("[server]\nport = 70000", "server.port"),
        ('[train]\npreset = "best"', "train.preset"),
        ("[harvest]\nopenai_jsonl = 5", "harvest.openai_jsonl"),
        ("train = 3", "train"),
        ("[vm]\ntimeout = inf", "vm.timeout"),
        ("[providers]\ntimeout = nan", "providers.timeout"),
    ],
)
def test_a_value_that_does_not_fit_names_the_setting(tmp_path: Path, text: str, where: str):
    write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=f"setting {where}: "):
        load(tmp_path)


def test_a_broken_file_names_file_and_line(tmp_path: Path):
    write(tmp_path, "[train]\nrank = \nalpha = 1")
    with pytest.raises(ConfigurationError, match=r"nightschool\.toml: .*line 2"):
        load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        f'notify = "{SECRET}"',
        f'[notify]\nwebhook = ["{SECRET}"]',
        f'[notify]\nwebhok = "{SECRET}"',
        f'[[notify]]\nwebhook = "{SECRET}"',
        f'[notify]\nsmtp_password = ["{SECRET}"]',
        f'[notify]\nwebhook_secret = {{a = "{SECRET}"}}',
        f'[notify]\nsmtp_password = "{SECRET}"\nsmtp_host = "a.example"\nsmtp_security = "plain"',
    ],
)
def test_a_secret_never_appears_in_an_error(tmp_path: Path, text: str):
    write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None


def test_a_wrong_value_beside_the_secret_is_still_shown(tmp_path: Path):
    write(tmp_path, '[notify]\ntimeout = "soon"')
    with pytest.raises(ConfigurationError, match=r"notify\.timeout.*soon"):
        load(tmp_path)


def test_the_example_lists_every_setting_and_is_the_defaults_when_uncommented(tmp_path: Path):
    known = {key for _, key in all_settings()}
    unset, lines = [], []
    for line in example().splitlines():
        body = line.removeprefix("# ")
        name, equals, _ = body.partition(" = ")
        if not line.startswith("# ") or not equals or name not in known:  # a heading, or a description
            lines.append(line)
        elif body.endswith("# unset"):
            unset.append(name)
        else:
            lines.append(body)
    text = "\n".join(lines)
    values = tomllib.loads(text)
    listed = {(section, key) for section, table in values.items() for key in table}
    defaults = Settings(home=tmp_path)
    missing = [(section, key) for section, key in all_settings() if (section, key) not in listed]
    assert all(getattr(getattr(defaults, section), key) is None for section, key in missing)
    assert sorted(key for _, key in missing) == sorted(unset)
    write(tmp_path, text)
    assert load(tmp_path).model_dump() == defaults.model_dump()


def test_settings_do_not_change_after_loading(tmp_path: Path):
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path).train.rank = 3
