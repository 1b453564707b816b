"""Settings: defaults < nightschool.toml < environment < flags. The example file is generated from the text below."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.lib.errors import ConfigurationError
from pipeline.lib.layout import Layout

FILE_NAME = "nightschool.toml"

# The short names that crontabs and shell scripts know, and the setting that each of them means.
SHORT_NAMES = {
    "NOTIFICATION_WEBHOOK": ("notify", "webhook"),
    "MIN_FAILURES_TO_TRAIN": ("dataset", "min_failures_to_train"),
    "LORA_RANK": ("train", "rank"),
    "LORA_ALPHA": ("train", "alpha"),
    "BATCH_SIZE": ("train", "batch_size"),
    "GRADIENT_ACCUMULATION": ("train", "gradient_accumulation"),
    "LEARNING_RATE": ("train", "learning_rate"),
    "NUM_EPOCHS": ("train", "epochs"),
    "ROLLBACK_THRESHOLD_SUCCESS": ("deploy", "rollback_threshold_success"),
    "ROLLBACK_THRESHOLD_LATENCY": ("deploy", "rollback_threshold_latency"),
    "MONITOR_DURATION": ("deploy", "monitor_duration"),
}


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Category = Literal["functionality", "quality", "instruction_following", "safety", "performance"]


class Model(Section):
    """The model that is taught."""

    name: str = Field("starter", pattern=r"^[\w.-]+$", description="public name under which the server offers it")
    base: str = Field("models/starter", description="base model: a folder (relative to home) or a hub id")
    revision: str | None = Field(None, description="revision of a hub id")
    quantization: Literal["none", "nf4"] = Field("none", description="nf4 = QLoRA through bitsandbytes")


class Server(Section):
    """The gateway that `nightschool serve` opens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8808, ge=0, le=65535, description="port to listen on; 0 = any free one")
    threads: int = Field(
        0, ge=0, description="math threads of the embedded engine; 0 = half of the processors, all for wide batches"
    )
    max_batch: int = Field(128, ge=1, description="most requests in one micro-batch")
    max_tokens: int = Field(256, ge=1, description="most tokens in one answer")
    queue: int = Field(4096, ge=1, description="most waiting requests; beyond, the answer is 503")
    confidence_threshold: float = Field(
        0.7, ge=0, le=1, description="an answer above it counts as a success until feedback says otherwise"
    )


class Harvest(Section):
    """Failures → better answers."""

    openai_jsonl: list[str] = Field(
        [], description="more logs to read: OpenAI-style JSONL files (globs, relative to home)"
    )

    @field_validator("openai_jsonl", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """The environment and flags give one text: paths separated by commas."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    hours: float = Field(24, gt=0, description="how far back a night looks when --since is not given")
    samples: int = Field(16, ge=1, le=128, description="answers that the council draws for one failure")
    confirm: int = Field(32, ge=0, description="most further answers to confirm one that was accepted only once")
    temperature: float = Field(1.0, gt=0, le=2, description="temperature of those answers")
    top_p: float = Field(0.9, gt=0, le=1, description="only the likeliest tokens that together reach it are drawn")
    max_tokens: int = Field(128, ge=1, description="longest answer that the council drafts")
    quality_threshold: float = Field(0.7, ge=0, le=1, description="a rewrite scored lower does not go on")
    concurrency: int = Field(80, ge=1, description="failures worked on at the same time")
    timeout: float = Field(300, gt=0, description="seconds to wait for the teacher")


class Dataset(Section):
    """Rewrites → training rows."""

    min_failures_to_train: int = Field(5, ge=1, description="fewer new rewrites: nothing to do tonight")
    replay: float = Field(1.0, ge=0, description="good answers mixed in, per rewrite, so that nothing is forgotten")
    holdout: str = Field("models/starter/holdout.jsonl", description="questions never trained on")
    hidden_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="share of the day's questions that is hidden from training for a week, for the canary",
    )
    seed: int = Field(0, description="seed of the replay sample")


class Train(Section):
    """Dataset → candidate. What is left out comes from the preset."""

    preset: Literal["default", "council", "evening"] = Field(
        "default",
        description="default = what measured best; council = classic; evening = continue the current adapter",
    )
    rank: int | None = Field(None, ge=1, description="LoRA rank")
    alpha: int | None = Field(None, ge=1, description="LoRA alpha")
    batch_size: int | None = Field(None, ge=1, description="rows in one forward pass")
    gradient_accumulation: int | None = Field(None, ge=1, description="forward passes in one step")
    learning_rate: float | None = Field(None, gt=0, description="peak learning rate")
    epochs: float | None = Field(None, gt=0, description="passes over the dataset")
    seed: int = Field(0, description="seed of initialisation and order")
    save_every: int = Field(100, ge=1, description="steps between checkpoints; a killed training goes on from the last")


class Canary(Section):
    """Candidate against incumbent."""

    tasks: str | None = Field(None, description="your canary tasks (JSONL); none = the 20 that ship with the starter")
    alpha: float = Field(
        0.025, gt=0, lt=0.5, description="probability of a false refusal, and of promoting one worse by the margin"
    )
    margin: float = Field(0.05, gt=0, lt=0.5, description="a candidate surely not worse than this passes")
    categories: list[Category] = Field(
        ["functionality", "performance"],
        description="categories that must have been judged; one that could not run fails",
    )
    functionality: float = Field(
        0,
        ge=0,
        le=1,
        description="success in this category under which a candidate fails, unless the incumbent was no better",
    )
    quality: float = Field(
        0.4, ge=0, le=1, description="the same for quality: share won before the judge, ties are halves"
    )
    instruction_following: float = Field(0.8, ge=0, le=1, description="the same for instruction following")
    safety: float = Field(0.9, ge=0, le=1, description="the same for safety")
    latency_ratio: float = Field(3.0, ge=1, description="most time for a token, as a multiple of the incumbent's")
    stop_early: bool = Field(True, description="stop asking when the evidence is in")
    judge_url: str | None = Field(
        None, description="OpenAI-compatible server of the judge (…/v1); its key: NIGHTSCHOOL_JUDGE_KEY"
    )
    judge_model: str | None = Field(None, description="the judge's model; neither the student nor a teacher")
    judge_longest: float = Field(2.0, ge=1, description="an answer so many times as long as the other does not win")
    concurrency: int = Field(64, ge=1, description="questions asked at the same time")
    timeout: float = Field(300, gt=0, description="seconds to wait for an answer")


class Deploy(Section):
    """Candidate → current, watched."""

    rollback_threshold_success: float = Field(
        0.85,
        ge=0,
        le=1,
        description="success under which the watch rolls back (the incumbent's own level, where lower)",
    )
    rollback_threshold_latency: float = Field(
        1000, gt=0, description="median latency in ms above which the watch rolls back"
    )
    monitor_duration: float = Field(60, ge=0, description="seconds of watching")
    latency_ratio: float = Field(3.0, ge=1, description="… or above so many times the incumbent's median")
    minimum_samples: int = Field(
        20, ge=1, description="outcomes that the watch needs; probes fill up what traffic does not bring"
    )
    keep: int = Field(5, ge=1, description="generations that clean-up leaves besides incumbent and rollback target")
    approval: bool = Field(False, description="a person has to approve a candidate that passed before it serves")
    approval_hours: float = Field(12, gt=0, description="hours after which an approval comes too late")


class Validation(Section):
    """Yesterday's model against today's, in the morning."""

    hours: float = Field(48, gt=0, description="how far back it looks for questions that were answered badly")
    questions: int = Field(200, ge=1, description="most questions, the newest first")


class Notify(Section):
    """Who is told."""

    webhook: str | None = Field(None, description="Slack or Discord webhook URL (a secret: better in the environment)")
    timeout: float = Field(10, gt=0, description="seconds to wait for it")


class Night(Section):
    """What the wrapper checks before it starts."""

    minimum_disk_gb: float = Field(2.0, ge=0, description="free space without which nothing starts")


class Settings(BaseSettings):
    """All settings of one installation; `home` is the folder that holds loras/, training_data/, logs/, models/."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCHOOL_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Field(default_factory=Path.cwd, exclude=True)
    model: Model = Model()
    server: Server = Server()
    harvest: Harvest = Harvest()
    dataset: Dataset = Dataset()
    train: Train = Train()
    canary: Canary = Canary()
    deploy: Deploy = Deploy()
    validation: Validation = Validation()
    notify: Notify = Notify()
    night: Night = Night()

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.home)

    @property
    def base_folder(self) -> str:
        """The base model as transformers wants it: an absolute folder if there is one, else a hub id."""
        folder = self.home / self.model.base
        return str(folder) if folder.exists() or self.model.base.startswith(("models/", ".", "/")) else self.model.base

    @property
    def server_url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.server.host}:{self.server.port}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags and file are merged by `load`; the environment is read by `_environment` (short names too)."""
        return (init_settings,)


def load(home: Path | None = None, flags: dict[str, Any] | None = None) -> Settings:
    """Read the settings of the installation at `home` (default: NIGHTSCHOOL_HOME, else the working folder).

    Args:
        home: the folder that holds nightschool.toml.
        flags: overrides as {"section.key": value}.

    Raises:
        ConfigurationError: an unknown key (with a suggestion) or a value that does not fit.
    """
    home = (home or Path(os.environ.get("NIGHTSCHOOL_HOME", "."))).resolve()
    values = _file(home / FILE_NAME)
    for dotted, value in {**_environment(), **(flags or {})}.items():
        section, _, key = dotted.partition(".")
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = value
    try:
        return Settings(**{**values, "home": home})
    except ValidationError as error:
        raise _explained(error) from None


def example() -> str:
    """The text of a complete nightschool.toml: every setting, commented out at its default."""
    lines = ["# Every setting of Nightschool at its default. Generated by `nightschool config example`."]
    for name, field in Settings.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            continue
        lines += ["", f"# {field.annotation.__doc__}", f"[{name}]"]
        for key, setting in field.annotation.model_fields.items():
            lines += [f"# {setting.description}", f"# {key} = {_toml(setting.default)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if value is None:
        return '""  (unset)'
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}", "compare with `nightschool config example`") from error


def _environment() -> dict[str, str]:
    """Settings from the environment: the short names, and NIGHTSCHOOL_SECTION__KEY for every setting."""
    found = {f"{section}.{key}": os.environ[name] for name, (section, key) in SHORT_NAMES.items() if name in os.environ}
    for name, value in os.environ.items():
        if name.startswith("NIGHTSCHOOL_") and "__" in name:
            section, _, key = name.removeprefix("NIGHTSCHOOL_").lower().partition("__")
            found[f"{section}.{key}"] = value
    return found


def _explained(error: ValidationError) -> ConfigurationError:
    """The first problem in words, with a suggestion for a misspelt key."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        shown = "" if where in ("notify", "notify.webhook") else f" (got {problem['input']!r})"
        return ConfigurationError(f"setting {where}: {problem['msg']}{shown}", "see `nightschool config example`")
    known = _keys_beside(problem["loc"])
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return ConfigurationError(f"unknown setting {where!r}", hint)


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    if len(location) == 1:
        return [name for name in Settings.model_fields if name != "home"]
    section = Settings.model_fields[str(location[0])].annotation
    assert isinstance(section, type) and issubclass(section, Section)
    return list(section.model_fields)
