"""Which sources there are, and where they are on this machine: one name → `module:Class` table."""

import difflib
import glob
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.backends.sources.interface import Row, Source
from pipeline.lib.errors import ConfigurationError, UnavailableError
from pipeline.lib.problems import Problems

KINDS = {
    "llm": "llm_log:LlmLog",
    "open-webui": "open_webui:OpenWebUi",
    "litellm": "litellm_log:LiteLlmLog",
    "otlp": "otlp:Otlp",
    "langfuse": "langfuse:Langfuse",
    "langsmith": "langsmith:LangSmith",
    "argilla": "argilla:Argilla",
    "chroma": "chroma:Chroma",
    "openai-jsonl": "openai_jsonl:OpenAiJsonl",
}
_SEVERAL = ("litellm", "otlp", "langfuse", "langsmith", "argilla")  # one source may read many files of these


@dataclass(frozen=True, slots=True)
class Several:
    """Several places of one kind, read one after the other."""

    name: str
    sources: Sequence[Source]

    def rows(self, since: float, until: float, problems: Problems) -> Iterator[Row]:
        """The rows of each; see `pipeline.backends.sources.interface.Source`."""
        for source in self.sources:
            yield from source.rows(since, until, problems)


def open_source(specification: str, home: Path) -> Source:
    """The source that a setting names; nothing is read yet.

    Args:
        specification: `kind:path` (relative to `home`, `~` is the user's home, `*` and the like stand for several,
            a folder for the exports in it), or a bare `kind`, which is looked for on this machine.
        home: the folder of the installation.

    Raises:
        ConfigurationError: no such kind (with a suggestion), or a bare one without a standard place.
        UnavailableError: no file matches, or a bare kind is not found here.
    """
    kind, colon, written = specification.partition(":")
    source = _class(kind)
    if colon and not written:
        raise ConfigurationError(f"source {specification!r}: no path behind the colon", f"for example {kind}:some/file")
    paths = _paths(home / Path(written).expanduser(), kind) if written else _detected(kind, source, home)
    if kind in _SEVERAL:
        return source(*paths)
    if len(paths) == 1:
        return source(paths[0])
    return Several(f"{kind}:{Path(written).name}", [source(path) for path in paths])


def resolved(specification: str, home: Path) -> str:
    """The same with its path: what a bare kind stands for here and now, whatever the environment is at night.

    Raises:
        ConfigurationError: no such kind.
        UnavailableError: not found on this machine.
    """
    if ":" in specification:
        return specification
    return f"{specification}:{_detected(specification, _class(specification), home)[0]}"


def detect(environ: Mapping[str, str], user_home: Path) -> list[tuple[str, Path]]:
    """Kind and path of what lies in its standard place on this machine, each once.

    Logs of LiteLLM and OpenTelemetry, and exports, have no standard place: those have to be named.
    """
    found: dict[Path, tuple[str, Path]] = {}
    for kind in KINDS:
        for place in _standard_places(_class(kind), environ, user_home):
            if _exists(place):
                found.setdefault(place.resolve(), (kind, place.absolute()))
    return list(found.values())


def _class(kind: str) -> Callable[..., Source]:
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(KINDS)}"
        raise ConfigurationError(f"no source of the kind {kind!r}", hint)
    module, _, name = KINDS[kind].partition(":")
    found: Callable[..., Source] = getattr(importlib.import_module(f"pipeline.backends.sources.{module}"), name)
    return found


def _paths(path: Path, kind: str) -> list[Path]:
    """The files that a path stands for."""
    if kind in _SEVERAL and path.is_dir():
        path = path / "*.json*"
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    if not found:
        raise UnavailableError(f"no file matches {path}", "correct the path of the source in nightschool.toml")
    return found


def _detected(kind: str, source: Callable[..., Source], home: Path) -> list[Path]:
    places = _standard_places(source, {**os.environ, "NIGHTSCHOOL_HOME": str(home)}, Path.home())
    found = next((place for place in places if _exists(place)), None)
    if not places:
        raise ConfigurationError(
            f"no {kind} found on this machine", f"it has no standard place; name it as {kind}:path"
        )
    if found is None:
        looked = ", ".join(map(str, places))
        raise UnavailableError(f"no {kind} found on this machine", f"looked at {looked}; name it as {kind}:path")
    return [found]


def _standard_places(source: Callable[..., Source], environ: Mapping[str, str], user_home: Path) -> list[Path]:
    places: Callable[..., list[Path]] | None = getattr(source, "standard_places", None)
    return places(environ, user_home) if places else []


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return False
