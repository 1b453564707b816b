"""Settings: defaults < nightschool.toml < environment < flags. The example file is generated from the text below."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.lib.errors import ConfigurationError
from pipeline.lib.layout import Layout
from pipeline.lib.sections import (
    Canary,
    Dashboard,
    Dataset,
    Deploy,
    Engine,
    Harvest,
    Hygiene,
    Metrics,
    Model,
    Night,
    Notify,
    Providers,
    Report,
    Retrieval,
    Sandbox,
    Secret,
    Section,
    Server,
    Service,
    Sinks,
    Train,
    Validation,
    Vm,
)
from pipeline.lib.text import without_logins

FILE_NAME = "nightschool.toml"
_EXAMPLE = "see `nightschool config example`"

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


class Settings(BaseSettings):
    """All settings of one installation; `home` is the folder that holds loras/, training_data/, logs/, models/."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCHOOL_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Field(default_factory=Path.cwd, exclude=True)
    model: Model = Model()
    server: Server = Server()
    engine: Engine = Engine()
    providers: Providers = Providers()
    vm: Vm = Vm()
    harvest: Harvest = Harvest()
    hygiene: Hygiene = Hygiene()
    dataset: Dataset = Dataset()
    train: Train = Train()
    canary: Canary = Canary()
    deploy: Deploy = Deploy()
    validation: Validation = Validation()
    retrieval: Retrieval = Retrieval()
    sandbox: Sandbox = Sandbox()
    notify: Notify = Notify()
    sinks: Sinks = Sinks()
    report: Report = Report()
    metrics: Metrics = Metrics()
    night: Night = Night()
    service: Service = Service()
    dashboard: Dashboard = Dashboard()

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.home)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that is set; of a setting with several, each one."""
        sections = (getattr(self, name) for name in type(self).model_fields)
        values = (value for section in sections if isinstance(section, Section) for _, value in section)
        found = (value.get_secret_value() for value in values if isinstance(value, SecretStr))
        return tuple(part for secret in found for part in secret.split())

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
    if "home" in values:
        raise ConfigurationError("unknown setting 'home'", "--home, or NIGHTSCHOOL_HOME, names the folder")
    try:
        return Settings(**values, home=home)
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
        return "# unset"  # not a value: uncommented as it stands, it is refused
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
        words = problem["msg"].removeprefix("Value error, ")
        return ConfigurationError(f"setting {where}: {words}{_shown(where, problem['input'])}", _EXAMPLE)
    known = _keys_beside(problem["loc"])
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return ConfigurationError(f"unknown setting {where!r}", hint)


def _shown(where: str, value: Any) -> str:
    """The value that does not fit, where it cannot hold a secret."""
    if _is_secret(where) or where.endswith(".key_variable") or isinstance(value, dict | list):
        return ""
    return f" (got {without_logins(repr(value))})"


def _is_secret(where: str) -> bool:
    """Whether it is a secret, or a section that has one."""
    section, _, key = where.partition(".")
    fields = getattr(Settings.model_fields[section].annotation, "model_fields", {})
    name = key.partition(".")[0]
    return any(Secret in get_args(field.annotation) for known, field in fields.items() if name in ("", known))


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Settings
    for part in location[:-1]:
        if isinstance(part, str):  # a number counts the tables of an array
            annotation = section.model_fields[part].annotation
            section = next(iter(get_args(annotation)), annotation)
    return [name for name in section.model_fields if name != "home"]
