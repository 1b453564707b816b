"""sources: where conversations are on this machine, what each place would give, and which of them a harvest reads.

reads   the places that `harvest.sources` names, and those that are found in their standard place
writes  `nightschool.toml`  (`sources add` and `remove`): only the list `harvest.sources`; comments and order stay
"""

import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.backends.sources.choice import detect, open_source, resolved
from pipeline.backends.sources.interface import Source
from pipeline.lib.config import FILE_NAME, Settings
from pipeline.lib.errors import ConfigurationError, DiskError, NightschoolError, UsageError
from pipeline.lib.files import write_bytes
from pipeline.lib.problems import Problems
from pipeline.lib.records import Interaction, failure_signal


def sources(
    settings: Settings,
    since: float | None,
    until: float | None,
    environ: Mapping[str, str] | None = None,
    user_home: Path | None = None,
) -> dict[str, Any]:
    """What each place would give in a window; one that cannot be read tells why, and the others go on.

    Args:
        settings: which are configured.
        since: seconds since 1970; none: from the beginning.
        until: seconds since 1970; none: to the end.
        environ: variables that name places; none: those of this process.
        user_home: the folder below which programs keep their data; none: the user's.
    """
    window = (-math.inf if since is None else since, math.inf if until is None else until)
    configured = [(each, True) for each in settings.harvest.sources]
    known = {_place(each, settings.home) for each in settings.harvest.sources}
    here = {**(os.environ if environ is None else environ), "NIGHTSCHOOL_HOME": str(settings.home)}
    detected = [
        (f"{kind}:{path}", False)
        for kind, path in detect(here, user_home or Path.home())
        if (kind, path.resolve()) not in known and kind not in known
    ]
    found = [
        {"source": each, "configured": chosen, **_read(each, settings.home, *window)}
        for each, chosen in configured + detected
    ]
    return {"since": since, "until": until, "sources": found}


def add(settings: Settings, specification: str) -> dict[str, Any]:
    """Have harvests read a place, after it has been read once.

    Args:
        settings: whose file is written.
        specification: `kind`, or `kind:path` with the path relative to the home. A bare kind is written down with the
            path where it was found: cron's environment may not say where that is.

    Raises:
        UsageError: no such kind.
        UnavailableError: nothing found.
        NightschoolError: it cannot be read.
    """
    try:
        specification = resolved(specification, settings.home)
        source = open_source(specification, settings.home)
    except ConfigurationError as error:
        raise UsageError(str(error), error.hint) from error
    seen = preview(source, -math.inf, math.inf)
    listed = _listed(settings.home)
    if specification not in listed:
        _write(settings.home, [*listed, specification])
    return {"source": specification, "added": specification not in listed, **seen}


def remove(settings: Settings, specification: str) -> dict[str, Any]:
    """Have harvests leave a place alone; a bare kind means all places of that kind.

    Raises:
        UsageError: it is not in the file.
    """
    listed = _listed(settings.home)
    gone = [each for each in listed if specification in (each, each.partition(":")[0])]
    if not gone:
        raise UsageError(
            f"{specification!r} is not in harvest.sources of {FILE_NAME}", f"there: {', '.join(listed) or 'none'}"
        )
    _write(settings.home, [each for each in listed if each not in gone])
    return {"source": specification, "removed": gone}


def preview(source: Source, since: float, until: float) -> dict[str, Any]:
    """What a source gives in a window, counted.

    Raises:
        NightschoolError: it cannot be read.
    """
    problems = Problems()
    counts: Counter[str] = Counter()
    signals: Counter[str] = Counter()
    users: set[str] = set()
    first, last = math.inf, -math.inf
    for row in source.rows(since, until, problems):
        try:
            interaction = Interaction.model_validate(row)
        except ValidationError as error:
            problems.add("not an interaction", f"{row.get('id')}: {error.errors()[0]['msg']}")
            continue
        counts.update(_traits(interaction))
        if signal := failure_signal(interaction):
            signals[signal] += 1
        if interaction.user:
            users.add(interaction.user)
        first, last = min(first, interaction.at), max(last, interaction.at)
    names = ("rows", "thumbs_up", "thumbs_down", "edited", "preferred", "errors")
    return {
        **{name: counts[name] for name in names},
        "failures": dict(signals.most_common()),
        "users": len(users),
        "first": first if counts else None,
        "last": last if counts else None,
        "problems": problems.to_json(),
    }


def _traits(interaction: Interaction) -> list[str]:
    feedback = interaction.feedback
    said = {
        "thumbs_up": feedback and feedback.thumb == 1,
        "thumbs_down": feedback and feedback.thumb == -1,
        "edited": feedback and feedback.edited,
        "preferred": feedback and feedback.preferred,
        "errors": interaction.error,
    }
    return ["rows", *(name for name, holds in said.items() if holds)]


def _read(specification: str, home: Path, since: float, until: float) -> dict[str, Any]:
    try:
        return preview(open_source(specification, home), since, until)
    except NightschoolError as error:
        return {"error": str(error), "hint": error.hint}


def _place(specification: str, home: Path) -> str | tuple[str, Path]:
    """What a configured source has in common with a detected one: kind and path, or the kind alone."""
    kind, _, written = specification.partition(":")
    return (kind, (home / Path(written).expanduser()).resolve()) if written else kind


def _listed(home: Path) -> list[str]:
    """What the file lists now, whatever environment and flags say."""
    harvest = _document(home).unwrap().get("harvest", {})
    listed = harvest.get("sources", [])
    return [part.strip() for part in listed.split(",") if part.strip()] if isinstance(listed, str) else list(listed)


def _document(home: Path) -> Any:
    import tomlkit

    try:
        return tomlkit.parse((home / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise DiskError(f"cannot read {home / FILE_NAME}: {error.strerror}", "check its rights") from error


def _write(home: Path, listed: list[str]) -> None:
    """Publish the file with another list; it keeps its mode, for it may hold a secret."""
    import tomlkit

    document = _document(home)
    harvest = document.setdefault("harvest", tomlkit.table())
    present = harvest.get("sources")
    if isinstance(present, list):
        for each in [each for each in present if each not in listed]:
            present.remove(each)
        present.extend(each for each in listed if each not in present)
    else:
        harvest["sources"] = listed
    path = (home / FILE_NAME).resolve()
    mode = path.stat().st_mode if path.exists() else None
    write_bytes(path, tomlkit.dumps(document).encode())
    if mode is not None:
        path.chmod(mode & 0o777)
