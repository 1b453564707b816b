"""patterns: which kinds of failures there are, what was tried against them, what worked, and what comes next.

reads   `training_data/patterns.jsonl`
writes  the file that `export` names; `training_data/patterns.jsonl` (`import`: only what was not known is added)
"""

import math
from pathlib import Path
from typing import Any

from pipeline.evolution import history
from pipeline.evolution.history import History, Strategy
from pipeline.evolution.mix import weights
from pipeline.evolution.patterns import Pattern
from pipeline.evolution.steering import rates
from pipeline.evolution.strategies import arms_of, plan
from pipeline.evolution.tallies import PatternTally, Share, Tallies, tally
from pipeline.evolution.teachers import best_teacher
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError
from pipeline.lib.files import locked, read_json, write_json
from pipeline.lib.logs import logger
from pipeline.lib.problems import Problems

SCHEMA = 1  # of an exported document; `write_json` puts it there
_KIND = "nightschool patterns"
_UNKNOWN = Pattern("not described in the history", -1, frozenset())


def patterns(settings: Settings, now: float) -> dict[str, Any]:
    """Every pattern with its numbers, those of most failures first, and what tonight would do about each.

    Args:
        settings: where the history is, and what a night does by default.
        now: seconds since 1970.
    """
    past = _read(settings)
    tallies = tally(past, now)
    asked = settings.harvest
    default = Strategy(asked.temperature, asked.top_p, asked.samples)
    expected = {name: math.ceil(each.weight) for name, each in tallies.patterns.items()}
    tonight = plan(tallies, expected, default, seed=0)
    mix = weights(tallies, tallies.patterns)
    ordered = sorted(tallies.patterns, key=lambda name: (-tallies.patterns[name].failures, name))
    return {
        "attempts": len(past.attempts),
        "patience": tallies.patience,
        "default": {"temperature": default.temperature, "top_p": default.top_p, "samples": default.samples},
        "expected": {"solved": round(tonight.solved, 1), "default_solved": round(tonight.default_solved, 1)},
        "categories": _categories(tallies),
        "patterns": [
            {
                "pattern": name,
                **_described(past.patterns.get(name, _UNKNOWN), tallies.patterns[name]),
                "best": _best(tallies.patterns[name], default),
                "tonight": {
                    "temperature": tonight.advice[name].best[0],
                    "top_p": tonight.advice[name].best[1],
                    "samples": tonight.advice[name].samples,
                },
                "weight": round(mix[name], 2),
            }
            for name in ordered
        ],
    }


def export(settings: Settings, path: Path) -> dict[str, Any]:
    """Write the whole history into one JSON document."""
    past = _read(settings)
    document = history.lines(past.patterns.values(), past.attempts.values())
    write_json(path, {"kind": _KIND, "records": document})
    return {"exported": str(path), "patterns": len(past.patterns), "attempts": len(past.attempts)}


def import_(settings: Settings, path: Path) -> dict[str, Any]:
    """Add what an exported document knows and the history does not; a second time nothing is left to add.

    Raises:
        BadRecordError: it is no such document, or one of its records cannot be used; nothing was changed.
    """
    records = _records(path)
    with locked(settings.layout.lock("patterns"), "patterns import"):
        past = _read(settings)
        fresh = History()
        for number, record in enumerate(records, start=1):
            try:
                fresh.add(record)
            except ValueError as error:
                raise BadRecordError(
                    f"{path} record {number}: {error}", "export it again; nothing was added"
                ) from error
        described = [each for name, each in fresh.patterns.items() if name not in past.patterns]
        attempts = [each for key, each in fresh.attempts.items() if key not in past.attempts]
        if described or attempts:
            history.append(settings.layout.patterns, described, attempts)
    return {"imported": str(path), "patterns": len(described), "attempts": len(attempts)}


def _records(path: Path) -> list[dict[str, Any]]:
    document = read_json(path)
    if document.get("kind") != _KIND:
        raise BadRecordError(f"{path}: no exported patterns", "`nightschool patterns export FILE` writes them")
    if document.get("schema") != SCHEMA:
        raise BadRecordError(
            f"{path}: schema {document.get('schema')!r}, only {SCHEMA} is known", "use the version that wrote it"
        )
    records = document.get("records")
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise BadRecordError(f"{path}: records is no list of objects", "export it again")
    return records


def _read(settings: Settings) -> History:
    problems = Problems()
    past = history.read(settings.layout.patterns, problems)
    if problems.count:
        logger.warning("%s: %s", settings.layout.patterns.name, problems)
    return past


def _described(pattern: Pattern, known: PatternTally) -> dict[str, Any]:
    return {
        "label": pattern.label,
        "length": pattern.length,
        "category": max(sorted(known.categories), key=known.categories.__getitem__),
        "categories": dict(known.categories.most_common()),
        "failures": known.failures,
        "solved": known.solved,
        "drafts": known.drafts,
        "rates": rates(Share(known.solved, known.failures)),
        "lately": rates(known.lately),
    }


def _categories(tallies: Tallies) -> list[dict[str, Any]]:
    """Each category with its rates and the models that were asked, most failures first."""
    found = []
    for category, share in sorted(tallies.categories.items(), key=lambda each: (-each[1].failures, each[0])):
        models = {model: one for (model, of), one in sorted(tallies.models.items()) if of == category}
        found.append(
            {
                "category": category,
                "failures": int(share.failures),
                "solved": int(share.solved),
                "rates": rates(share),
                "best_model": best_teacher(tallies, category, list(models)),
                "models": {model: round(one.chance(tallies.chance), 4) for model, one in models.items()},
            }
        )
    return found


def _best(known: PatternTally, default: Strategy) -> dict[str, Any] | None:
    """The arm that solved most for its drafts; none: nothing was solved."""
    arms = [arm for arm, each in known.arms.items() if each.solved > 0]
    if not arms:
        return None
    order = arms_of(default)
    best = max(sorted(arms, key=lambda arm: (arm not in order, arm)), key=lambda arm: known.arms[arm].chance(0.0))
    return {"temperature": best[0], "top_p": best[1]}
